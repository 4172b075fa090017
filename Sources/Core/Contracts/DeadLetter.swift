/// What could not be used: a record on `<uc>.dead-letter` whose key and value are the original bytes, or the beginning of them where they would not fit
/// on the topic, and whose headers say the rest. One type for all who write one, and for who reads, shows and replays them.
///
/// A reader passes over headers that it does not know, and takes a letter of version 0.1.0, which said neither `version` nor `stage`.
public struct DeadLetter: Sendable, Equatable {
    /// Of the headers that this writes. A later version only adds some.
    public static let version = 1

    /// Which step refused it, and so where it goes when it is replayed.
    public enum Stage: String, Sendable, CaseIterable {
        /// A row of a source, before it was an event: the producer.
        case source
        /// An event: the stream processor.
        case processing
        /// A feature record, on its way to the feature store.
        case features
        /// A feature record, on its way to a score.
        case scoring
        /// An anomaly, before anything was decided about it.
        case alerting
        /// An alert that a receiver never took.
        case delivery

        /// That of a letter which does not say it.
        public init?(service: String) {
            switch service {
            case "producer": self = .source
            case "stream-processor": self = .processing
            case "feature-writer": self = .features
            case "scoring-service": self = .scoring
            case "alert-sink": self = .alerting
            default: return nil
            }
        }
    }

    /// Where the original is.
    public enum Origin: Sendable, Equatable {
        /// A record on Kafka; its Kafka timestamp in milliseconds, -1 where it has none.
        case record(topic: String, partition: Int32, offset: Int64, timestamp: Int64)
        /// A row of a file, a table or another source, by its line or number; nil where that is not known.
        case row(source: String, line: Int64?)
        /// A message in a receiver's outbox, about the anomaly of a record.
        case outbox(receiver: String, topic: String, partition: Int32, offset: Int64, timestamp: Int64)
    }

    /// Identity of the event, as in every record.
    public var id: String
    public var origin: Origin
    /// Nil in a letter of a service that this version does not know.
    public var stage: Stage?
    public var reason: DeadLetterReason
    /// The field that was wrong; several are separated by commas; empty where the record as a whole was.
    public var field: String
    /// One sentence a person can act on.
    public var detail: String
    /// The service that refused the record.
    public var service: String
    /// Bytes of the original's key and value, where the letter has only the beginning of them.
    public var originalSize: Int?

    public init(
        id: String, origin: Origin, stage: Stage?, reason: DeadLetterReason, field: String = "", detail: String, service: String,
        originalSize: Int? = nil
    ) {
        self.id = id
        self.origin = origin
        self.stage = stage
        self.reason = reason
        self.field = field
        self.detail = detail
        self.service = service
        self.originalSize = originalSize
    }

    /// Whether the original bytes are all there.
    public var isWhole: Bool { originalSize == nil }

    // MARK: Headers

    /// The headers, in the order in which they are written: those of version 0.1.0 first, as it wrote them.
    public var headers: [(name: StaticString, value: String)] {
        var headers: [(name: StaticString, value: String)] = [("id", id)]
        switch origin {
        case .record(let topic, let partition, let offset, let timestamp), .outbox(_, let topic, let partition, let offset, let timestamp):
            headers += [
                ("source-topic", topic), ("source-partition", String(partition)), ("source-offset", String(offset)),
                ("source-timestamp", String(timestamp)),
            ]
        case .row(let source, let line):
            headers.append(("source-topic", source))
            if let line { headers.append(("source-offset", String(line))) }
        }
        headers += [("reason", reason.rawValue), ("field", field), ("detail", detail), ("service", service)]
        if let originalSize { headers.append(("original-size", String(originalSize))) }
        if case .outbox(let receiver, _, _, _, _) = origin { headers.append(("receiver", receiver)) }
        if let stage { headers.append(("stage", stage.rawValue)) }
        headers.append(("version", String(Self.version)))
        return headers
    }

    /// Reads the headers of a letter; nil where the record is no dead letter: it names no reason that is known, or no source.
    /// - Parameter header: the last value of a header, as text; nil where there is none.
    public init?(_ header: (StaticString) -> String?) {
        guard let reason = header("reason").flatMap({ DeadLetterReason(rawValue: $0) }), let topic = header("source-topic") else { return nil }
        let offset = header("source-offset").flatMap { Int64($0) }
        let timestamp = header("source-timestamp").flatMap { Int64($0) } ?? -1
        if let partition = header("source-partition").flatMap({ Int32($0) }) {
            guard let offset else { return nil }
            if let receiver = header("receiver") {
                origin = .outbox(receiver: receiver, topic: topic, partition: partition, offset: offset, timestamp: timestamp)
            } else {
                origin = .record(topic: topic, partition: partition, offset: offset, timestamp: timestamp)
            }
        } else {
            origin = .row(source: topic, line: offset)
        }
        self.reason = reason
        id = header("id") ?? ""
        field = header("field") ?? ""
        detail = header("detail") ?? ""
        service = header("service") ?? ""
        stage = header("stage").flatMap { Stage(rawValue: $0) } ?? Stage(service: service)
        originalSize = header("original-size").flatMap { Int($0) }
    }
}
