/// Everything that decides what a training run produces, apart from the rows.
public struct TrainingPlan: Sendable {
    public var parameters: DetectorParameters
    public var featureNames: [String]
    public var threshold: ThresholdRule
    public var scaling: Scaling
    public var seed: UInt64
    /// Milliseconds since 1970, by the caller's clock.
    public var createdAt: Int64
    /// Share of the rows that calibrate before they teach, above 0 and below 1.
    public var heldBackShare: Double
    public var policies: [FeaturePolicy]
    /// For thresholds in false alerts per day, and to report them for the other rules.
    public var eventsPerEntityPerDay: Double?

    public var detector: DetectorKind { parameters.kind }

    /// Throws `.parameter` where the parameters belong to another detector.
    public init(
        detector: DetectorKind, parameters: DetectorParameters? = nil, featureNames: [String],
        threshold: ThresholdRule = .contamination(0.01), scaling: Scaling = .standard, seed: UInt64 = 7, createdAt: Int64,
        heldBackShare: Double = 0.25, policies: [FeaturePolicy] = [], eventsPerEntityPerDay: Double? = nil
    ) throws(DetectorError) {
        if let parameters, parameters.kind != detector {
            throw DetectorError(
                .parameter, "The parameters belong to \(parameters.kind.rawValue): give those of \(detector.rawValue).")
        }
        self.parameters = parameters ?? DetectorParameters(defaultsOf: detector)
        self.featureNames = featureNames
        self.threshold = threshold
        self.scaling = scaling
        self.seed = seed
        self.createdAt = createdAt
        self.heldBackShare = heldBackShare
        self.policies = policies
        self.eventsPerEntityPerDay = eventsPerEntityPerDay
    }
}

/// What is known about a model besides how it scores.
public struct ModelMetadata: Sendable, Equatable {
    /// Milliseconds since 1970.
    public var createdAt: Int64
    public var seed: UInt64
    /// Rows that the detector was fitted on, and how many of them calibrated it first.
    public var trainingRows: Int
    public var heldBackRows: Int
    /// What to know before trusting the threshold; nil where there were enough rows.
    public var caution: String? {
        guard trainingRows < Reach.enoughRows else { return nil }
        return "There are \(trainingRows) training rows: below \(Reach.enoughRows) the threshold is a guess, and no value that was learnt alerts."
    }
    /// CRC-32 of the training values, as eight hexadecimal digits: the same rows in the same order give the same.
    public var dataFingerprint: String
    /// By name, for instance `roc_auc`; the caller's.
    public var metrics: [String: Double]
    /// By name, for instance `use_case`; the caller's.
    public var notes: [String: String]

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(createdAt)
        writer.write(seed)
        writer.write(Int64(trainingRows))
        writer.write(Int64(heldBackRows))
        writer.write(dataFingerprint)
        let metrics = metrics.sorted { $0.key < $1.key }
        writer.write(metrics.map(\.key))
        writer.write(metrics.map(\.value))
        let notes = notes.sorted { $0.key < $1.key }
        writer.write(notes.map(\.key))
        writer.write(notes.map(\.value))
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "metadata")
        createdAt = try reader.int64()
        seed = try reader.uint64()
        trainingRows = try reader.int(in: 0...Int.max)
        heldBackRows = try reader.int(in: 0...Int.max)
        dataFingerprint = try reader.text()
        let metricNames = try reader.texts()
        let metricValues = try reader.doubles()
        let noteNames = try reader.texts()
        let noteValues = try reader.texts()
        guard metricNames.count == metricValues.count, noteNames.count == noteValues.count else {
            throw reader.damaged("names and values differ in number")
        }
        metrics = Dictionary(zip(metricNames, metricValues)) { first, _ in first }
        notes = Dictionary(zip(noteNames, noteValues)) { first, _ in first }
    }

    init(
        createdAt: Int64, seed: UInt64, trainingRows: Int, heldBackRows: Int, dataFingerprint: String, metrics: [String: Double] = [:],
        notes: [String: String] = [:]
    ) {
        self.createdAt = createdAt
        self.seed = seed
        self.trainingRows = trainingRows
        self.heldBackRows = heldBackRows
        self.dataFingerprint = dataFingerprint
        self.metrics = metrics
        self.notes = notes
    }
}
