import CSVReader
import Detectors
import Features
import ServiceKit
import Text
import UseCases

/// A CSV file as the rows that a detector takes, and which of its rows are not among them.
struct FileTable {
    var table: ScoringTable
    /// For each data row of the file its row in `table`; nil for a row that the format or the schema refused, -1 for one that is of no concern to
    /// the feature set.
    var places: [Int?] = []
    /// Names of the columns of `table`.
    var features: [String]
    /// Columns that were not taken, each with the reason.
    var leftOut: [String] = []

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Numbers for entities, the same in every file that is read with it.
    struct Entities {
        private var known: [String: Int32] = [:]
        mutating func number(_ name: String) -> Int32 {
            if let number = known[name] { return number }
            let number = Int32(known.count)
            known[name] = number
            return number
        }
    }

    /// Takes the numeric columns as they are.
    /// - Parameter features: the columns to take; nil finds them, see `ColumnScan`, reading the file twice.
    init(path: String, columns: ColumnChoice, features chosen: [String]?, entities: inout Entities) throws {
        let profile = try chosen.map { (features: $0, leftOut: [String]()) } ?? ColumnScan(path: path, columns: columns).choice()
        let features = profile.features
        leftOut = profile.leftOut
        guard !features.isEmpty else {
            let hint = try CSVReader(path: path).hint.map { " " + $0 } ?? ""
            throw Failure(description: "\(path) has no column to learn from; left out: \(leftOut.joined(separator: ", ")).\(hint)")
        }
        let reader = try CSVReader(path: path)
        let time = try Self.index(of: columns.timestamp, in: reader)
        let entity = try columns.entity.map { try Self.index(of: $0, in: reader) }
        let indexes = try features.map { try Self.index(of: $0, in: reader) }
        self.features = features
        table = ScoringTable(matrix: FeatureMatrix(columns: features.count), times: [])
        var row = [Double](repeating: .nan, count: features.count)
        while let status = try reader.next() {
            guard status == .ok, let when = Self.time(reader.bytes, reader.fields[time]) else {
                places.append(nil)
                continue
            }
            for (slot, index) in indexes.enumerated() { row[slot] = TextNumber.parse(reader.bytes, reader.fields[index]) ?? .nan }
            places.append(table.matrix.rows)
            table.matrix.append(row)
            table.times.append(when)
            if let entity { table.entities.append(entities.number(reader.string(entity))) }
        }
    }

    /// Computes the features of a use case's first set of events, by the code that the stream uses.
    init(path: String, useCase: UseCase, features: [String], entities: inout Entities) throws {
        guard let set = useCase.plan.sets.firstIndex(where: { $0.scope == .event }) else {
            throw Failure(description: "The use case \(useCase.definitionName) has no feature set per event.")
        }
        let known = useCase.plan.sets[set].features
        let indexes = features.compactMap { known.firstIndex(of: $0) }
        var source: FileFormat?
        if case .file(let file)? = useCase.source?.kind, file.kind == .csv { source = file }
        let reader = try CSVReader(path: path, CSVSettings(delimiter: source?.delimiter ?? UInt8(ascii: ","), encoding: source?.encoding ?? .utf8))
        let binding = try ColumnBinding(schema: useCase.plan.schema, header: reader.columns, columns: source?.columns(in: reader.columns) ?? [:])
        let decoder = EventDecoder(schema: useCase.plan.schema)
        let state = PartitionState(plan: useCase.plan)
        var emissions = Emissions()
        self.features = features
        table = ScoringTable(matrix: FeatureMatrix(columns: features.count), times: [])
        while let status = try reader.next() {
            emissions.removeAll()
            guard status == .ok, decoder.decode(columns: reader.bytes, reader.fields, binding),
                state.apply(decoder, kafkaTimestamp: -1, into: &emissions) == .applied
            else {
                places.append(nil)
                continue
            }
            guard let own = emissions.items.first(where: { $0.set == set && $0.kind == .event }) else {
                places.append(-1)
                continue
            }
            places.append(table.matrix.rows)
            table.matrix.append(indexes.map { emissions.values[own.values.lowerBound + $0] })
            table.times.append(decoder.eventTime)
            table.entities.append(entities.number(String(decoding: decoder.entity, as: UTF8.self)))
        }
    }

    static func index(of column: String, in reader: CSVReader) throws -> Int {
        if let index = reader.column(column) { return index }
        throw Failure(
            description: "\(reader.file) has no column \"\(column)\"; it has \(reader.columns.joined(separator: ", "))."
                + (reader.hint.map { " " + $0 } ?? ""))
    }

    /// A date, or a number that grows from row to row. Numbers with a fraction are taken as seconds.
    static func time(_ bytes: [UInt8], _ field: Range<Int>) -> Int64? {
        guard let number = TextNumber.parse(bytes, field) else { return ISO8601.parse(bytes, field) }
        guard number.magnitude < 1e15 else { return nil }
        return number == number.rounded() ? Int64(number) : Int64((number * 1000).rounded())
    }
}
