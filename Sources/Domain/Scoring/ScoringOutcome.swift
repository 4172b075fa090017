import Contracts
import JSON

/// What scoring says about one feature record: a score; for an anomaly also the reason; and whether an anomaly of the entity is over.
/// Its strings are valid only while it is handed over.
public struct ScoringOutcome {
    public let partition: Int32
    /// Of the model; 0 for absence, which needs none.
    public let version: Int64
    public let head: ScoreRecordWriter.Head
    /// Of an anomaly.
    public let reason: ScoreRecordWriter.Reason?
    /// The entity was anomalous until now.
    public let isEnd: Bool
    let writer: ScoreRecordWriter

    /// Appends the record of `<uc>.scores`.
    public func writeScore(into json: inout JSONWriter) { writer.write(head, reason: nil, into: &json) }

    /// Appends the record of `<uc>.anomalies`, where there is one: an anomaly with its reason, or one that says that the entity is normal
    /// again, with `"is_anomaly":false` and the kind `cleared` or `resumed`.
    /// - Returns: false where there is none; nothing was appended then.
    public func writeAnomaly(into json: inout JSONWriter) -> Bool {
        if let reason {
            writer.write(head, reason: reason, into: &json)
            return true
        }
        guard isEnd else { return false }
        var cleared = head
        guard !cleared.kindIsType else {
            writer.write(cleared, reason: nil, into: &json)
            return true
        }
        StaticString("cleared").withUTF8Buffer { kind in
            cleared.kind = UnsafeRawBufferPointer(kind)
            writer.write(cleared, reason: nil, into: &json)
        }
        return true
    }
}
