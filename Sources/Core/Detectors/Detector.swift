/// Called while fitting with the share done, 0...1, for a progress bar.
public typealias FitProgress = (_ share: Double) -> Void

/// What a user should know before choosing a detector.
public struct DetectorCard: Sendable {
    /// One line: what it finds.
    public let summary: String
    /// What it takes for granted about the data.
    public let assumptions: String
    /// Cost of fitting and of scoring one row.
    public let cost: String
    /// Where the method comes from.
    public let source: String
    public let parameters: [ParameterSpec]
}

/// The contract of every detector.
///
/// A detector works on rows that `Preprocessing` has imputed and scaled, so it never meets NaN. It is immutable after `fit`: several
/// threads may score with the same one. A higher raw score is more anomalous; raw scores have no common unit, `Calibration` makes them
/// comparable.
public protocol Detector: Sendable {
    static var kind: DetectorKind { get }
    static var card: DetectorCard { get }

    /// Learns from rows without labels; `order` says when and to whom they happened, where that is known. The same data, order, parameters
    /// and seed give the same detector.
    ///
    /// Throws `.data` where there are too few rows.
    static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> Self

    /// Numbers in a row.
    var columns: Int { get }

    /// Scores a batch of `[row × column]` into `scores`, one each. Allocates only while `scratch` grows to the batch.
    func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch)

    /// The row that this detector would have thought normal in place of this one, in the detector's own (scaled) space.
    func expected(for row: [Double]) -> [Double]

    /// Expected values and signed contributions. The default compares the row with `expected(for:)` feature by feature.
    func explain(_ row: [Double]) -> Explanation

    /// Writes the fitted state; its first byte is the layout's version.
    func encode(into writer: inout StateWriter)

    /// Reads what `encode` wrote. Throws `.state` on anything else.
    init(from reader: inout StateReader) throws(DetectorError)
}

/// Whose rows one state of a streaming detector takes in.
public enum StateScope: Sendable {
    /// One entity's: what is normal differs from entity to entity.
    case entity
    /// All that come along: entities are alike, and a state is too large to keep one for each.
    case stream
}

/// A detector that looks at rows in sequence, and may go on learning: what it keeps is an explicit value that the caller owns (one for each
/// entity or stream, see `scope`), stores and restores.
public protocol StreamingDetector: Detector {
    static var scope: StateScope { get }

    /// Whether this one, as it was fitted, has any use for what came before a row. One that has none is scored in batches, without state.
    var keepsHistory: Bool { get }

    /// The state before the first row.
    func makeState() -> DetectorState

    /// Scores one row in the light of the state, which takes it in as history. `time` is event time in milliseconds.
    func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double

    /// Takes a row that was just scored into what counts as normal. Not called for rows that alerted, so that they never teach it.
    func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState)

    /// Why a row has its score: `state` has just scored it, and not learned it.
    func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation
}

/// A streaming detector that only remembers: the state widens each row by what came before, and wide rows are scored together.
protocol WideningDetector: StreamingDetector {
    /// Numbers in a wide row.
    var wideColumns: Int { get }
    /// Takes the row into the state and writes its wide form, `wideColumns` numbers.
    func widen(_ row: Span<Double>, state: inout DetectorState, into wide: inout MutableSpan<Double>)
    /// Scores `[row × wide column]`.
    func scoreWide(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch)
    /// Why a wide row has its score.
    func explainWide(_ wide: [Double]) -> Explanation
}

extension StreamingDetector {
    public static var scope: StateScope { .entity }
    public var keepsHistory: Bool { true }
    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {}
    public func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation { explain(row) }
}

/// Working memory of one thread; grows to the largest batch and is then reused.
public struct ScoringScratch: Sendable {
    var floats: [Float] = []
    var numbers: [Double] = []
    var indexes: [Int32] = []
    var words: [UInt64] = []
    /// A row widened by its context, and raw scores of a member.
    var wide: [Double] = []
    var raw: [Double] = []
    /// One for each member of an ensemble.
    var nested: [ScoringScratch] = []

    public init() {}

    /// Makes room for `count` floats.
    mutating func reserve(floats count: Int) {
        if floats.count < count { floats = [Float](repeating: 0, count: count) }
    }

    /// Makes room for `count` numbers.
    mutating func reserve(numbers count: Int) {
        if numbers.count < count { numbers = [Double](repeating: 0, count: count) }
    }

    /// Lends out an array of at least `count` numbers, which the caller gives back, so that the scratch itself can be passed on meanwhile.
    static func lend(_ place: inout [Double], _ count: Int) -> [Double] {
        var lent: [Double] = []
        swap(&lent, &place)
        if lent.count < count { lent = [Double](repeating: 0, count: count) }
        return lent
    }

    /// Makes room for `count` words.
    mutating func reserve(words count: Int) {
        if words.count < count { words = [UInt64](repeating: 0, count: count) }
    }

    /// Makes room for `count` indexes.
    mutating func reserve(indexes count: Int) {
        if indexes.count < count { indexes = [Int32](repeating: 0, count: count) }
    }
}

extension Detector {
    /// Scores whole rows into a new array; for tests and training, not for hot paths.
    public func score(_ data: FeatureMatrix) -> [Double] {
        var scores = [Double](repeating: 0, count: data.rows)
        var scratch = ScoringScratch()
        var output = scores.mutableSpan
        score(data.values.span, into: &output, scratch: &scratch)
        return scores
    }

    public func explain(_ row: [Double]) -> Explanation {
        Explanation.comparing(row, with: expected(for: row)) { score($0) }
    }
}
