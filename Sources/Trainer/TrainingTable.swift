import CSVReader
import Detectors
import Features
import UseCases

/// Feature vectors of a CSV file, computed by the code that the stream uses: same decoder, same expressions.
struct TrainingTable {
    /// `[row × feature]`, the columns in the order of `featureNames`.
    private(set) var matrix: FeatureMatrix
    let featureNames: [String]
    /// Rows that the schema or the file format refused, and the first such sentence.
    private(set) var refused = 0
    private(set) var firstRefusal: String?

    /// Reads the whole file.
    /// - Parameters:
    ///   - set: index of the feature set.
    ///   - features: which of the set's features, in which order.
    ///   - progress: called now and then with the share of the file that was read.
    init(path: String, source: CSVSource?, useCase: UseCase, set: Int, features: [String], progress: (Double) -> Void) throws {
        let reader = try CSVReader(path: path, CSVSettings(delimiter: source?.delimiter ?? UInt8(ascii: ",")))
        let schema = useCase.plan.schema
        let binding = try ColumnBinding(schema: schema, header: reader.columns, columns: source?.columns ?? [:])
        let decoder = EventDecoder(schema: schema)
        let evaluator = FeatureEvaluator(plan: useCase.plan, set: set)
        let columns = features.compactMap { useCase.plan.sets[set].features.firstIndex(of: $0) }
        featureNames = features
        matrix = FeatureMatrix(columns: columns.count)
        var vector: [Double] = []
        while let status = try reader.next() {
            if let sentence = status.sentence {
                refuse("line \(reader.line): \(sentence)")
            } else if decoder.decode(columns: reader.bytes, reader.fields, binding) {
                evaluator.compute(decoder.row, into: &vector)
                matrix.append(columns.map { vector[$0] })
            } else {
                refuse("line \(reader.line): " + decoder.errors.map(\.message).joined(separator: " "))
            }
            if reader.row % 4096 == 0, let total = reader.totalBytes, total > 0 { progress(Double(reader.bytesRead) / Double(total)) }
        }
    }

    private mutating func refuse(_ sentence: String) {
        refused += 1
        if firstRefusal == nil { firstRefusal = sentence }
    }
}
