/// Why a record could not be used: the reason class in a dead letter's header and the value of a metric label.
///
/// The set is closed: a reader may switch over it, and a metric has at most this many series. The raw value is the text
/// that travels; it never changes once it has been published.
public enum DeadLetterReason: String, Sendable, CaseIterable {
    /// The record has no value, or a value without a single byte.
    case empty
    /// The record is larger than the limit of its reader.
    case tooLarge = "too-large"
    /// The key is absent, is not UTF-8, or is not the entity that the event names.
    case badKey = "bad-key"
    /// The value is not well-formed (not JSON, not UTF-8, or cut off).
    case malformed
    /// The value is well-formed JSON but not an object.
    case notAnObject = "not-an-object"
    /// A row of a file has another number of columns than its header.
    case columnCount = "column-count"
    /// A required field is absent or null.
    case missingField = "missing-field"
    /// The event has a field that the schema does not know, and the schema rejects such fields.
    case unknownField = "unknown-field"
    /// The same field stands twice in one event.
    case repeatedField = "repeated-field"
    /// A field has another type than the schema says, such as a number written as a string.
    case wrongType = "wrong-type"
    /// A number lies outside the bounds of its field.
    case outOfRange = "out-of-range"
    /// A value is none of those that its field allows.
    case notInEnumeration = "not-in-enumeration"
    /// A timestamp cannot be read, or is before 1900 or after 2200.
    case badTimestamp = "bad-timestamp"
    /// A number is NaN or infinite.
    case notANumber = "not-a-number"
    /// The event's time is too far ahead of the time at which the broker received it.
    case futureTimestamp = "future-timestamp"
    /// The event's time is further behind the time at which the broker received it than the use case allows.
    case pastTimestamp = "past-timestamp"
    /// The event came after the windows that it belongs to were closed, and no set has a vector of each event.
    case late
    /// The record broke its handler more often than the limit allows.
    case failedRepeatedly = "failed-repeatedly"
}
