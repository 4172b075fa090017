/// A detector ready to serve: names of its features, preprocessing, detector, calibration, threshold and metadata. Immutable apart from the
/// threshold and the metadata; safe to share between threads. Score with a `ModelScorer`, one for each thread.
public struct TrainedModel: Sendable {
    public let featureNames: [String]
    public let parameters: DetectorParameters
    public let preprocessing: Preprocessing
    public let calibration: Calibration
    public private(set) var threshold: Threshold
    public var metadata: ModelMetadata
    let detector: any Detector

    public var kind: DetectorKind { parameters.kind }

    /// Holds back a seeded random share of the rows, imputes by the median, scales and fits on the others, calibrates on the held-back ones
    /// and sets the threshold. With fewer than twenty rows nothing is held back and the model is calibrated on what it has seen.
    ///
    /// Throws `.data` for too few rows or a wrong width, `.parameter` for a setting that is out of range.
    public static func fit(
        _ data: FeatureMatrix, plan: TrainingPlan, progress: FitProgress = { _ in }
    ) throws(DetectorError) -> TrainedModel {
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
        let threshold = try Threshold(plan.threshold, eventsPerEntityPerDay: plan.eventsPerEntityPerDay)
        var random = SeededGenerator(seed: plan.seed)
        var fitRows = Array(0..<data.rows)
        var heldBack = fitRows
        if data.rows >= 20 {
            let count = min(max(Int(Double(data.rows) * plan.heldBackShare), 1), data.rows - 2)
            let chosen = random.sample(count, below: data.rows)
            var isHeldBack = [Bool](repeating: false, count: data.rows)
            for row in chosen { isHeldBack[row] = true }
            fitRows = fitRows.filter { !isHeldBack[$0] }
            heldBack = chosen.sorted()
        }
        let training = data.selecting(rows: fitRows)
        let preprocessing = try Preprocessing(training, featureNames: plan.featureNames, scaling: plan.scaling, policies: plan.policies)
        let detector = try plan.detector.type.fit(
            preprocessing.apply(training, policies: false), parameters: plan.parameters, seed: random.next(), progress: progress)
        let calibration = Calibration(heldBack: detector.score(preprocessing.apply(data.selecting(rows: heldBack))))
        let metadata = ModelMetadata(
            createdAt: plan.createdAt, seed: plan.seed, trainingRows: fitRows.count, heldBackRows: data.rows >= 20 ? heldBack.count : 0,
            dataFingerprint: fingerprint(data))
        return TrainedModel(
            featureNames: plan.featureNames, parameters: plan.parameters, preprocessing: preprocessing, calibration: calibration,
            threshold: threshold, metadata: metadata, detector: detector)
    }

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
        var explanation = detector.explain(scaled)
        for column in row.indices {
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
        featureNames: [String], parameters: DetectorParameters, preprocessing: Preprocessing, calibration: Calibration,
        threshold: Threshold,
        metadata: ModelMetadata, detector: any Detector
    ) {
        self.featureNames = featureNames
        self.parameters = parameters
        self.preprocessing = preprocessing
        self.calibration = calibration
        self.threshold = threshold
        self.metadata = metadata
        self.detector = detector
    }
}
