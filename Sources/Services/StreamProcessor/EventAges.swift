import Features
import ServiceKit

/// Notices events whose time lies decades before their Kafka timestamp: nearly always a unit or a field that is not what the definition says it is.
/// A replay of very old records looks the same, so they are counted and named once, and used.
struct EventAges {
    /// Twenty years in milliseconds: older than what people replay, younger than a time of 1970.
    static let old: Int64 = 7_305 * 86_400_000

    private var count = 0
    private var example: (time: Int64, age: Int64)?
    private var wasNamed = false

    /// - Parameters:
    ///   - time: of the event, milliseconds.
    ///   - kafkaTimestamp: milliseconds; negative where there is none.
    @inline(__always)
    mutating func note(_ time: Int64, kafkaTimestamp: Int64) {
        if kafkaTimestamp - time > Self.old { add(time, kafkaTimestamp - time) }
    }

    @inline(never)
    private mutating func add(_ time: Int64, _ age: Int64) {
        count += 1
        if example == nil { example = (time, age) }
    }

    /// Adds to the counter what was noted since the last call, and writes one line for the whole run.
    mutating func report(_ counter: Counter, _ log: Logger) {
        guard count > 0 else { return }
        counter.add(count)
        count = 0
        guard !wasNamed, let example else { return }
        wasNamed = true
        log.warning(
            "events are decades older than their Kafka timestamps: is the time's field and its unit right? `maximum_past` in `time` refuses such events",
            ["event_time": example.time, "age": DurationText.text(example.age)])
    }
}
