import Text

/// A detector ready to serve: names of its features, preprocessing, detector, calibration, threshold and metadata. Immutable apart from the
/// threshold and the metadata; safe to share between threads. Score with a `ModelScorer`, one for each thread.
public struct TrainedModel: Sendable {
    public let featureNames: [String]
    public let parameters: DetectorParameters
    public let preprocessing: Preprocessing
    public let calibration: Calibration
    let reach: Reach
    public private(set) var threshold: Threshold
    public var metadata: ModelMetadata
    let detector: any Detector

    public var kind: DetectorKind { parameters.kind }

    /// Fits a model and calibrates it on rows that it has not seen.
    ///
    /// Held back is a seeded random share of the rows, or, where rows have an order and the detector looks at sequences, the last share of
    /// each entity's rows. A model of the others scores them, then the detector is fitted once more on all rows and scores them too; the
    /// greater of both scores calibrates, so that no learnt value is stranger to the final model than it was frequent, be its scale another
    /// (a median between two states, a smaller sample). With fewer than twenty rows nothing is held back and the model is calibrated on what
    /// it has seen; with fewer than 200 no learnt value is anomalous, see `metadata.caution`.
    ///
    /// Throws `.data` for too few rows or a wrong width, `.parameter` for a setting that is out of range.
    public static func fit(
        _ data: FeatureMatrix, order: RowOrder? = nil, plan: TrainingPlan, progress: FitProgress = { _ in }
    ) throws(DetectorError) -> TrainedModel {
        try check(data, order: order, plan: plan)
        let threshold = try Threshold(plan.threshold, eventsPerEntityPerDay: plan.eventsPerEntityPerDay)
        var random = SplitMix64(seed: plan.seed)
        let sequences = plan.detector.isStreaming ? order?.sequences(plan.detector.scope) : nil
        let (fitRows, heldBack) = split(data.rows, sequences: sequences, share: plan.heldBackShare, random: &random)
        let seed = random.next()
        func train(_ rows: [Int], _ progress: FitProgress) throws(DetectorError) -> (Preprocessing, any Detector) {
            let training = data.selecting(rows: rows)
            let preprocessing = try Preprocessing(training, featureNames: plan.featureNames, scaling: plan.scaling, policies: plan.policies)
            let detector = try plan.detector.type.fit(
                preprocessing.apply(training, policies: false), order: order?.selecting(rows), parameters: plan.parameters, seed: seed,
                progress: progress)
            return (preprocessing, detector)
        }
        var (preprocessing, detector) = try train(fitRows) { progress(0.45 * $0) }
        func scores(_ rows: [Int], learningBelow cut: Double = .infinity) -> [Double] {
            if let sequences, let order, let streaming = detector as? any StreamingDetector {
                return runThrough(
                    streaming, preprocessing.apply(data), order: order, sequences: sequences, wanted: rows, learningBelow: cut)
            }
            return detector.score(preprocessing.apply(data.selecting(rows: rows)))
        }
        let unseen = scores(heldBack)
        (preprocessing, detector) = try train(Array(0..<data.rows)) { progress(0.5 + 0.45 * $0) }
        var raw = zip(unseen, scores(heldBack)).map { max($0, $1) }
        if sequences != nil, detector is any StreamingDetector, !(detector is any WideningDetector) {
            // What alerts is not learnt, which narrows what counts as normal, so that more alerts: the threshold is set after that.
            let first = Calibration(heldBack: raw)
            let cut = raw.filter { first.score($0) >= threshold.score }.min() ?? .infinity
            raw = zip(raw, scores(heldBack, learningBelow: cut)).map { max($0, $1) }
        }
        let learnt = data.rows < Reach.enoughRows ? raw + scores(Array(0..<data.rows)) : []
        progress(1)
        let metadata = ModelMetadata(
            createdAt: plan.createdAt, seed: plan.seed, trainingRows: data.rows, heldBackRows: data.rows >= 20 ? heldBack.count : 0,
            dataFingerprint: fingerprint(data))
        return TrainedModel(
            featureNames: plan.featureNames, parameters: plan.parameters, preprocessing: preprocessing,
            calibration: Calibration(heldBack: raw), reach: Reach(data, preprocessing: preprocessing, learnt: learnt),
            threshold: threshold, metadata: metadata, detector: detector)
    }

    private static func check(_ data: FeatureMatrix, order: RowOrder?, plan: TrainingPlan) throws(DetectorError) {
        guard data.columns == plan.featureNames.count else {
            throw DetectorError(
                .data, "The training rows have \(data.columns) columns and \(plan.featureNames.count) feature names: they must agree.")
        }
        guard data.rows >= 2 else {
            throw DetectorError(.data, "There are \(data.rows) training rows: give at least two, some hundreds for a threshold that holds.")
        }
        guard plan.heldBackShare > 0, plan.heldBackShare < 1 else {
            throw DetectorError(.parameter, "The held-back share must lie between 0 and 1, not \(plan.heldBackShare).")
        }
        if let order {
            guard order.times.count == data.rows, order.entities.isEmpty || order.entities.count == data.rows,
                order.entities.allSatisfy({ $0 >= 0 && Int($0) < data.rows })
            else { throw DetectorError(.data, "The order of the training rows must name a time and an entity for each row.") }
        }
    }

    /// Rows to fit on and rows to calibrate with, both ascending.
    private static func split(
        _ rows: Int, sequences: [[Int]]?, share: Double, random: inout SplitMix64
    ) -> (fit: [Int], heldBack: [Int]) {
        let all = Array(0..<rows)
        guard rows >= 20 else { return (all, all) }
        var isHeldBack = [Bool](repeating: false, count: rows)
        if let sequences {
            for sequence in sequences {
                for row in sequence.suffix(Int(Double(sequence.count) * share)) { isHeldBack[row] = true }
            }
            if !isHeldBack.contains(true), let last = sequences.last?.last { isHeldBack[last] = true }
        } else {
            for row in random.sample(min(max(Int(Double(rows) * share), 1), rows - 2), below: rows) { isHeldBack[row] = true }
        }
        return (all.filter { !isHeldBack[$0] }, all.filter { isHeldBack[$0] })
    }

    /// Raw scores of the wanted rows, each in the light of those before it in its sequence; rows below the cut teach.
    static func runThrough(
        _ detector: any StreamingDetector, _ data: FeatureMatrix, order: RowOrder, sequences: [[Int]], wanted: [Int],
        learningBelow cut: Double = .infinity
    ) -> [Double] {
        guard detector.keepsHistory else { return detector.score(data.selecting(rows: wanted)) }
        if let widening = detector as? any WideningDetector { return widening.scores(of: wanted, in: data, sequences: sequences) }
        var scores = [Double](repeating: 0, count: data.rows)
        var scratch = ScoringScratch()
        for sequence in sequences {
            var state = detector.makeState()
            for row in sequence {
                let values = data.values.span.extracting(row * data.columns..<(row + 1) * data.columns)
                scores[row] = detector.score(values, time: order.times[row], state: &state, scratch: &scratch)
                if scores[row] < cut { detector.learn(values, time: order.times[row], state: &state) }
            }
        }
        return wanted.map { scores[$0] }
    }

    /// Whether rows are to be scored in the light of what came before them: see `ModelScorer.score(_:times:slots:states:scores:flags:)`.
    public var needsState: Bool { streaming?.keepsHistory ?? false }

    /// Whose rows one state takes in.
    public var stateScope: StateScope { kind.scope }

    /// The state before the first row; empty for a detector that needs none.
    public func makeState() -> DetectorState { streaming?.makeState() ?? DetectorState() }

    var streaming: (any StreamingDetector)? { detector as? any StreamingDetector }

    /// The detector in words; of an ensemble its members and why they were chosen.
    public var choice: String { (detector as? Ensemble)?.choice ?? kind.rawValue }

    /// Moves the threshold; the rest of the model stays.
    public mutating func setThreshold(_ rule: ThresholdRule, eventsPerEntityPerDay: Double? = nil) throws(DetectorError) {
        threshold = try Threshold(rule, eventsPerEntityPerDay: eventsPerEntityPerDay)
    }

    /// Why a row has its score, in the features' own units. Missing values count as the training median and contribute nothing.
    ///
    /// Not for every event: it scores two rows for each feature.
    public func explain(_ row: [Double]) -> Explanation {
        precondition(row.count == featureNames.count, "a row has a number for each feature")
        let scaled = preprocessing.apply(FeatureMatrix(values: row, columns: row.count)).values
        return inUnits(detector.explain(scaled), of: scaled)
    }

    /// The same in the light of a state that has just scored the row.
    func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation {
        guard let streaming else { return explain(row) }
        let scaled = preprocessing.apply(FeatureMatrix(values: row, columns: row.count)).values
        return inUnits(streaming.explain(scaled, time: time, state: state), of: scaled)
    }

    /// Expected values as the features have them; `row` is the scaled row.
    func inUnits(_ scaled: Explanation, of row: [Double]) -> Explanation {
        var explanation = reach.explain(scaled, row)
        for column in explanation.expected.indices {
            explanation.expected[column] = preprocessing.restore(explanation.expected[column], column: column)
        }
        return explanation
    }

    private static func fingerprint(_ data: FeatureMatrix) -> String {
        var writer = StateWriter()
        writer.write(UInt64(data.columns))
        writer.write(data.values)
        let digits = String(crc32(writer.bytes[...]), radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    init(
        featureNames: [String], parameters: DetectorParameters, preprocessing: Preprocessing, calibration: Calibration, reach: Reach,
        threshold: Threshold,
        metadata: ModelMetadata, detector: any Detector
    ) {
        self.featureNames = featureNames
        self.parameters = parameters
        self.preprocessing = preprocessing
        self.calibration = calibration
        self.reach = reach
        self.threshold = threshold
        self.metadata = metadata
        self.detector = detector
    }
}
