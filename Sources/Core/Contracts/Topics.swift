/// The Kafka topics of one use case. All names are made here and nowhere else.
///
/// The key of every record is the entity (UTF-8), so that one entity's records stay in order in one partition; a derived record is
/// written to the partition number of the record it comes from.
public struct Topics: Sendable, Equatable {
    /// Raw events, as the outside world sent them. Header `id`: the event's identity.
    public let events: String
    /// One record (`FeatureRecordWriter`) per event and feature set, or per closed window.
    public let features: String
    /// One record (`ScoreRecordWriter`) per feature record.
    public let scores: String
    /// The score records that crossed the threshold, with their explanation.
    public let anomalies: String
    /// What the alert sink decided to tell people.
    public let alerts: String
    /// What could not be used: original key and bytes, with the headers of `DeadLetter`.
    public let deadLetter: String
    /// Ground truth, where the source knows it: `LabelRecord`. Never read by a detector.
    public let labels: String

    /// - Parameter useCase: the use case's name, already checked to be safe in a topic name.
    public init(useCase: String) {
        events = useCase + ".events"
        features = useCase + ".features"
        scores = useCase + ".scores"
        anomalies = useCase + ".anomalies"
        alerts = useCase + ".alerts"
        deadLetter = useCase + ".dead-letter"
        labels = useCase + ".labels"
    }

    /// Every topic, in the order in which an event passes them.
    public var all: [String] { [events, features, scores, anomalies, alerts, deadLetter, labels] }
}
