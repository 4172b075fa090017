import JSON

/// What the scorer says about one feature record.
///
/// Wire form on `<uc>.scores`:
/// `{"id":"trips:42","kind":"event","set":"trip","entity":"132","event_time":…,"produced_at":…,"scored_at":…,"offset":41,"score":0.98,"is_anomaly":true,
///   "status":"SUSPICIOUS","confidence":0.9,"model":"isolation-forest","version":3,"sequence":0}`.
/// `offset` and `sequence` are those of the feature record, so that a reader knows one that is sent again (`DuplicateFilter`); version 0.1.0 wrote no
/// `sequence`.
/// Windows add `window_start` and `window_end`, and `revision` where it is above 0: a window may be scored again under the same `id`, and the
/// highest revision counts; its records are on both topics as they would be had it been the first. `anomaly_type` is there on anomalies whose type is known: a name of the
/// use case's section `types` (`spike`, `drift`, …), or of silence (`missing`, `flapping`, `stuck`).
/// On `<uc>.anomalies` the same with `features`, `expected` and `contributions` (objects by feature name; absolute contributions sum to 1).
public struct ScoreRecordWriter: Sendable {
    private let set: [UInt8]
    private let names: [[UInt8]]
    private let statusNormal: [UInt8]
    private let statusAnomaly: [UInt8]
    private let model: [UInt8]
    private let version: Int64

    /// - Parameters:
    ///   - features: names of the model's features, in the order of `Reason`.
    ///   - model: the detector's name as a JSON string, quotes included.
    ///   - version: the registry's version number.
    public init(set: String, features: [String], statusNormal: String, statusAnomaly: String, model: [UInt8], version: Int64) {
        func json(_ text: String) -> [UInt8] {
            var writer = JSONWriter(capacity: 64)
            writer.value(text)
            return writer.bytes
        }
        self.set = json(set)
        names = features.map { JSONWriter.escapedKey($0) }
        self.statusNormal = json(statusNormal)
        self.statusAnomaly = json(statusAnomaly)
        self.model = model
        self.version = version
    }

    /// What every score record carries; strings are UTF-8.
    public struct Head {
        public var id: UnsafeRawBufferPointer
        /// As in the feature record.
        public var kind: UnsafeRawBufferPointer
        public var entity: UnsafeRawBufferPointer
        public var eventTime: Int64
        public var window: Range<Int64>?
        /// As in the feature record.
        public var revision: UInt32 = 0
        public var producedAt: Int64
        public var scoredAt: Int64
        public var offset: Int64
        /// Its ordinal within that offset, as in the feature record.
        public var sequence: Int64 = 0
        public var score: Double
        public var isAnomaly: Bool
        public var confidence: Double

        /// Whether the record is about silence: its kind is also the anomaly's type.
        public var kindIsType = false
        /// The anomaly's type as a JSON string, where it is known.
        public var type: [UInt8]?

        public init(
            id: UnsafeRawBufferPointer, kind: UnsafeRawBufferPointer, entity: UnsafeRawBufferPointer, eventTime: Int64, window: Range<Int64>?,
            producedAt: Int64, scoredAt: Int64, offset: Int64, score: Double, isAnomaly: Bool, confidence: Double
        ) {
            self.id = id
            self.kind = kind
            self.entity = entity
            self.eventTime = eventTime
            self.window = window
            self.producedAt = producedAt
            self.scoredAt = scoredAt
            self.offset = offset
            self.score = score
            self.isAnomaly = isAnomaly
            self.confidence = confidence
        }
    }

    /// Why a score is what it is: per feature, in the feature's own unit.
    public struct Reason {
        public var actual: [Double]
        public var expected: [Double]
        public var contributions: [Double]
        public init(actual: [Double], expected: [Double], contributions: [Double]) {
            self.actual = actual
            self.expected = expected
            self.contributions = contributions
        }
    }

    /// - Parameter reason: given for anomalies.
    public func write(_ head: Head, reason: Reason?, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.value(utf8: head.id)
        writer.key("kind")
        writer.value(utf8: head.kind)
        writer.key("set")
        writer.raw(set)
        writer.key("entity")
        writer.value(utf8: head.entity)
        writer.key("event_time")
        writer.value(head.eventTime)
        if let window = head.window {
            writer.key("window_start")
            writer.value(window.lowerBound)
            writer.key("window_end")
            writer.value(window.upperBound)
        }
        if head.revision > 0 {
            writer.key("revision")
            writer.value(Int64(head.revision))
        }
        writer.key("produced_at")
        writer.value(head.producedAt)
        writer.key("scored_at")
        writer.value(head.scoredAt)
        writer.key("offset")
        writer.value(head.offset)
        writer.key("score")
        writer.value(head.score)
        writer.key("is_anomaly")
        writer.value(head.isAnomaly)
        writer.key("status")
        writer.raw(head.isAnomaly ? statusAnomaly : statusNormal)
        writer.key("confidence")
        writer.value(head.confidence)
        if head.kindIsType, head.isAnomaly {
            writer.key("anomaly_type")
            writer.value(utf8: head.kind)
        } else if let type = head.type, head.isAnomaly {
            writer.key("anomaly_type")
            writer.raw(type)
        }
        writer.key("model")
        writer.raw(model)
        writer.key("version")
        writer.value(version)
        writer.key("sequence")
        writer.value(head.sequence)
        if let reason {
            writer.key("features")
            object(reason.actual, into: &writer)
            writer.key("expected")
            object(reason.expected, into: &writer)
            writer.key("contributions")
            object(reason.contributions, into: &writer)
        }
        writer.endObject()
    }

    private func object(_ values: [Double], into writer: inout JSONWriter) {
        writer.beginObject()
        for index in names.indices {
            writer.key(raw: names[index])
            writer.value(values[index])
        }
        writer.endObject()
    }
}

/// An anomaly as the alert sink and other slow readers see it: every part as a plain value.
public struct Anomaly: Sendable, Equatable {
    public var id: String
    public var set: String
    public var entity: String
    public var eventTime: Int64
    public var producedAt: Int64
    /// Where it is known: `missing`, `stuck`, `spike`, …
    public var anomalyType: String?
    public var score: Double
    public var status: String
    public var confidence: Double
    public var model: String
    public var version: Int64
    /// How often the same window was scored before.
    public var revision: UInt32
    /// One per feature, in the record's order.
    public var features: [Feature]

    public struct Feature: Sendable, Equatable {
        public var name: String
        public var actual: Double?
        public var expected: Double?
        /// Signed: positive means above what was expected; absolute values sum to 1 over the features.
        public var contribution: Double
        public init(name: String, actual: Double?, expected: Double?, contribution: Double) {
            self.name = name
            self.actual = actual
            self.expected = expected
            self.contribution = contribution
        }
    }

    public init(
        id: String, set: String, entity: String, eventTime: Int64, producedAt: Int64, score: Double, status: String, confidence: Double,
        model: String, version: Int64, features: [Feature], anomalyType: String? = nil, revision: UInt32 = 0
    ) {
        self.revision = revision
        self.anomalyType = anomalyType
        self.id = id
        self.set = set
        self.entity = entity
        self.eventTime = eventTime
        self.producedAt = producedAt
        self.score = score
        self.status = status
        self.confidence = confidence
        self.model = model
        self.version = version
        self.features = features
    }

    /// Reads a record of `<uc>.anomalies`. Throws a sentence that names the field.
    public init(parsing bytes: [UInt8], _ range: Range<Int>) throws(JSONError) {
        let json = try JSONValue.parse(bytes, range)
        func text(_ name: String) throws(JSONError) -> String {
            guard let value = json[name]?.string else { throw JSONError("The field \(name) must be a string.", offset: nil) }
            return value
        }
        func integer(_ name: String) throws(JSONError) -> Int64 {
            guard let value = json[name]?.integer else { throw JSONError("The field \(name) must be an integer.", offset: nil) }
            return value
        }
        func number(_ name: String) throws(JSONError) -> Double {
            guard let value = json[name]?.double else { throw JSONError("The field \(name) must be a number.", offset: nil) }
            return value
        }
        id = try text("id")
        set = try text("set")
        entity = try text("entity")
        eventTime = try integer("event_time")
        producedAt = try integer("produced_at")
        score = try number("score")
        status = try text("status")
        anomalyType = json["anomaly_type"]?.string
        confidence = try number("confidence")
        model = try text("model")
        version = try integer("version")
        revision = UInt32(clamping: json["revision"]?.integer ?? 0)
        let (expected, contributions) = (json["expected"], json["contributions"])
        features = (json["features"]?.object ?? []).map { member in
            Feature(
                name: member.name, actual: member.value.double, expected: expected?[member.name]?.double,
                contribution: contributions?[member.name]?.double ?? 0)
        }
    }
}
