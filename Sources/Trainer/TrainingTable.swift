import CSVReader
import Detectors
import Features
import UseCases

/// Feature vectors of a CSV file, computed by the code that the stream uses: same decoder, same expressions, same windows.
///
/// The file is taken as one partition, its rows in the file's order; at its end every open window is closed.
struct TrainingTable {
    /// Per feature set `[record × feature]`, the columns in the set's order.
    private(set) var matrices: [FeatureMatrix]
    /// Rows that the schema, the file format or their time refused, and the first such sentence.
    private(set) var refused = 0
    private(set) var firstRefusal: String?

    /// Reads the whole file.
    /// - Parameter progress: called now and then with the share of the file that was read.
    init(path: String, source: FileFormat?, useCase: UseCase, progress: (Double) -> Void) throws {
        let reader = try CSVReader(path: path, CSVSettings(delimiter: source?.delimiter ?? UInt8(ascii: ",")))
        let binding = try ColumnBinding(schema: useCase.plan.schema, header: reader.columns, columns: source?.columns ?? [:])
        let decoder = EventDecoder(schema: useCase.plan.schema)
        let state = PartitionState(plan: useCase.plan)
        var emissions = Emissions()
        matrices = useCase.plan.sets.map { FeatureMatrix(columns: $0.features.count) }
        while let status = try reader.next() {
            emissions.removeAll()
            if let sentence = status.sentence {
                refuse(reader.line, sentence)
            } else if !decoder.decode(columns: reader.bytes, reader.fields, binding) {
                refuse(reader.line, decoder.errors.map(\.message).joined(separator: " "))
            } else {
                switch state.apply(decoder, kafkaTimestamp: -1, into: &emissions) {
                case .applied: keep(emissions)
                case .late(let lateness): refuse(reader.line, "The row is \(lateness) ms too late for its windows; sort the file by time.")
                case .future(let lead): refuse(reader.line, "The row is \(lead) ms in the future.")
                }
            }
            if reader.row % 4096 == 0, let total = reader.totalBytes, total > 0 { progress(Double(reader.bytesRead) / Double(total)) }
        }
        emissions.removeAll()
        state.finish(into: &emissions)
        keep(emissions)
    }

    private mutating func keep(_ emissions: Emissions) {
        for emission in emissions.items where emission.set >= 0 { matrices[emission.set].append(Array(emissions.values[emission.values])) }
    }

    private mutating func refuse(_ line: Int, _ sentence: String) {
        refused += 1
        if firstRefusal == nil { firstRefusal = "line \(line): \(sentence)" }
    }
}
