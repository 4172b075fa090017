import CSVReader
import Detectors
import Features
import UseCases

/// Feature vectors of a CSV file, computed by the code that the stream uses: same decoder, same expressions, same windows.
///
/// The file is taken as one partition, its rows in the file's order; at its end every open window is closed.
struct TrainingTable {
    /// The vectors of one feature set, in the file's order.
    struct Rows {
        var table: ScoringTable
        /// 1 anomalous, 0 normal, -1 not judged; empty where the file has no labels or the set has no vector of its own for each row.
        var labels: [Int8] = []
        private var numbers: [[UInt8]: Int32] = [:]

        init(columns: Int) { table = ScoringTable(matrix: FeatureMatrix(columns: columns), times: []) }

        mutating func append(_ values: [Double], time: Int64, entity: ArraySlice<UInt8>) {
            table.matrix.append(values)
            table.times.append(time)
            let name = Array(entity)
            let number = numbers[name] ?? Int32(numbers.count)
            numbers[name] = number
            table.entities.append(number)
        }

        var entities: Int { numbers.count }
    }

    /// Per feature set, the columns in the set's order.
    private(set) var sets: [Rows]
    /// Rows that the schema, the file format or their time refused, and the first such sentence.
    private(set) var refused = 0
    private(set) var firstRefusal: String?

    /// Reads the whole file.
    /// - Parameter progress: called now and then with the share of the file that was read.
    init(path: String, source: FileFormat?, useCase: UseCase, progress: (Double) -> Void) throws {
        let reader = try CSVReader(path: path, CSVSettings(delimiter: source?.delimiter ?? UInt8(ascii: ","), encoding: source?.encoding ?? .utf8))
        let binding = try ColumnBinding(schema: useCase.plan.schema, header: reader.columns, columns: source?.columns(in: reader.columns) ?? [:])
        let decoder = EventDecoder(schema: useCase.plan.schema)
        let state = PartitionState(plan: useCase.plan)
        var emissions = Emissions()
        sets = useCase.plan.sets.map { Rows(columns: $0.features.count) }
        let label = source?.label.flatMap { reader.column($0) }
        let ignore = source?.ignore.flatMap { reader.column($0) }
        let isJudged = useCase.plan.sets.map { $0.scope == .event && label != nil }
        while let status = try reader.next() {
            emissions.removeAll()
            if let sentence = status.sentence {
                refuse(reader.line, sentence)
            } else if !decoder.decode(columns: reader.bytes, reader.fields, binding) {
                refuse(reader.line, decoder.errors.map(\.message).joined(separator: " "))
            } else {
                let outcome = state.apply(decoder, kafkaTimestamp: -1, into: &emissions)
                switch outcome {
                case .applied, .lateForWindows:
                    keep(emissions)
                    let isIgnored = try ignore.map { try reader.truth($0) } ?? false
                    let isAnomaly = try label.map { try reader.truth($0) } ?? false
                    let truth: Int8 = isIgnored ? -1 : isAnomaly ? 1 : 0
                    for set in sets.indices where isJudged[set] {
                        while sets[set].labels.count < sets[set].table.matrix.rows { sets[set].labels.append(truth) }
                    }
                case .late, .future, .past:
                    refuse(reader.line, (outcome.sentence(useCase.plan.time) ?? "") + " Sort the file by time.")
                }
            }
            if reader.row % 4096 == 0, let total = reader.totalBytes, total > 0 { progress(Double(reader.bytesRead) / Double(total)) }
        }
        emissions.removeAll()
        state.finish(into: &emissions)
        keep(emissions)
    }

    private mutating func keep(_ emissions: Emissions) {
        for emission in emissions.items where emission.set >= 0 {
            sets[emission.set].append(
                Array(emissions.values[emission.values]), time: emission.eventTime, entity: emissions.bytes[emission.entity])
        }
    }

    private mutating func refuse(_ line: Int, _ sentence: String) {
        refused += 1
        if firstRefusal == nil { firstRefusal = "line \(line): \(sentence)" }
    }
}
