/// Header names of a dead letter. Its key and value are the original bytes, or the beginning of them where they would not fit on the topic
/// (`originalSize`); these say where it came from and what was wrong.
public enum DeadLetterHeader {
    /// Identity of the event, as in every record.
    public static let id = "id"
    public static let sourceTopic = "source-topic"
    public static let sourcePartition = "source-partition"
    public static let sourceOffset = "source-offset"
    /// Kafka timestamp of the original, milliseconds.
    public static let sourceTimestamp = "source-timestamp"
    /// A `DeadLetterReason`.
    public static let reason = "reason"
    /// The field that was wrong; several are separated by commas; empty where the record as a whole was.
    public static let field = "field"
    /// One sentence a person can act on.
    public static let detail = "detail"
    /// Only where the letter has no more than the beginning of the original: how many bytes key and value had.
    public static let originalSize = "original-size"
    /// The service that refused the record.
    public static let service = "service"
}
