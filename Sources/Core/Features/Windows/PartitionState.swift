import Contracts

/// What became of an event's time.
public enum ApplyOutcome: Sendable, Equatable {
    case applied
    /// Older than the horizon by so many milliseconds, and no set can use it. Nothing was changed or emitted: dead-letter it.
    case late(by: Int64)
    /// Older than the horizon by so many milliseconds: no window has it. The vectors of its own were emitted, as of an event without any before
    /// it, and nothing is remembered of it.
    case lateForWindows(by: Int64)
    /// Further ahead of its Kafka timestamp than allowed, by so many milliseconds. Nothing was changed or emitted: dead-letter it.
    case future(by: Int64)
    /// Further behind its Kafka timestamp than allowed, by so many milliseconds. Nothing was changed or emitted: dead-letter it.
    case past(by: Int64)

    /// Under which reason to dead-letter the event; nil where something uses it.
    public var refusal: DeadLetterReason? {
        switch self {
        case .applied, .lateForWindows: nil
        case .late: .late
        case .future: .futureTimestamp
        case .past: .pastTimestamp
        }
    }

    /// What is wrong with the event's time, as a sentence for people; nil for one that was applied.
    public func sentence(_ rules: EventTimeRules) -> String? {
        switch self {
        case .applied: return nil
        case .late(let by), .lateForWindows(let by):
            return "The event is \(DurationText.text(by)) late for its windows; `allowed_lateness` is \(DurationText.text(rules.allowedLateness))."
        case .future(let by):
            let most = rules.maximumFuture ?? 0
            return "The event's time is \(DurationText.text(most + by)) ahead of its Kafka timestamp; `maximum_future` is \(DurationText.text(most))."
        case .past(let by):
            let most = rules.maximumPast ?? 0
            return "The event's time is \(DurationText.text(most + by)) behind its Kafka timestamp; `maximum_past` is \(DurationText.text(most))."
        }
    }
}

/// The whole state of one input partition: its entities, what is remembered of each, and the event time it has reached.
///
/// The watermark is the newest event time of the partition minus the out-of-orderness, the horizon the watermark minus the allowed lateness.
/// Both move by events and nothing else. An event that is older than the horizon is late; every other one is in every window that covers it, in
/// all window sets. When the horizon passes a window's end, the window is emitted and closed for good.
///
/// Where nothing comes, `advance` says what time it is elsewhere. It only fires early (Beam's word): windows that end before that time by the
/// allowed lateness are emitted as they are, and stay open. A window that changes afterwards is emitted again, whole, with a revision one
/// higher; one that does not is not emitted again. So the last record of a window does not depend on pauses, and no event is late because of
/// one. Where no set has windows and silence is not watched, nothing is late.
///
/// A function of the calls made: the same events in the same order give the same emissions in the same order, bit for bit, also when the
/// state went through a snapshot in between. It knows no clock. One thread's own; nothing is allocated for an event of a known entity
/// once buffers have grown.
public final class PartitionState {
    public let plan: FeaturePlan
    /// One thread's own, and nothing of it comes in twice, so access is not checked.
    @exclusivity(unchecked) var core: PartitionCore

    /// - Parameter partition: the input partition's number, which decides its share of the close spread.
    public init(plan: FeaturePlan, partition: Int32 = 0) {
        self.plan = plan
        core = PartitionCore(plan, partition)
    }

    /// Takes the event that a decoder holds, after `decode` returned true.
    public func apply(_ decoder: EventDecoder, kafkaTimestamp: Int64, into emissions: inout Emissions) -> ApplyOutcome {
        core.apply(decoder.row, decoder.entity, decoder.eventTime, kafkaTimestamp, &emissions)
    }

    /// Judges an event's time, takes it into the state, and appends what it causes: first its own vectors, set by set, then what it says
    /// about silence, then the windows that it closes and the entities that are missing by then.
    ///
    /// - Parameters:
    ///   - row: As from `EventDecoder.row`.
    ///   - kafkaTimestamp: Milliseconds; -1 when there is none, and then nothing is too far in the future.
    public func apply(
        row: [Double], entity: [UInt8], eventTime: Int64, kafkaTimestamp: Int64 = -1, into emissions: inout Emissions
    ) -> ApplyOutcome {
        core.apply(row, entity, eventTime, kafkaTimestamp, &emissions)
    }

    /// Time has reached a point although no event says so, as when a partition is idle: emits the windows that end before it and entities that are
    /// missing by then. Makes no event late.
    ///
    /// What decides this is a clock, so for a replay to agree the decision must be on record, with the offset before which it was taken,
    /// before anything is published because of it.
    public func advance(to time: Int64, into emissions: inout Emissions) { core.advance(to: time, &emissions) }

    /// Whether `advance` to this time may emit anything. Once it has, not again before an event comes.
    public func isDue(at time: Int64) -> Bool { core.isDue(at: time) }

    /// The input has ended: closes every open window. Events that come afterwards are late where there are windows.
    public func finish(into emissions: inout Emissions) { core.finish(&emissions) }

    /// Entities that are remembered.
    public var entityCount: Int { core.table.count }
    /// Entities that had to leave for new ones.
    public var evictedEntities: UInt64 { core.counters.evicted }
    /// Those of them whose open windows are lost.
    public var evictedWithOpenWindows: UInt64 { core.counters.evictedOpen }
    public var lateEvents: UInt64 { core.counters.late }
    public var futureEvents: UInt64 { core.counters.future }
    /// Events that rolling aggregates forgot early because an entity sent too many.
    public var forgottenEvents: UInt64 { core.rolling.reduce(0) { $0 + $1.overflows } }
    /// In milliseconds; nil before the first event.
    public var watermark: Int64? { core.watermark == .min ? nil : core.watermark }
    /// Newest event time in milliseconds; nil before the first event.
    public var newestEventTime: Int64? { core.newest == .min ? nil : core.newest }
    /// Memory that entities and their windows take, used or not; sketches, rolling histories and what the allocator adds are not counted.
    public var byteCount: Int { core.table.byteCount + core.windows.reduce(0) { $0 + $1.pool.byteCount } }
    /// Panes of all window sets that are in use.
    public var paneCount: Int { core.windows.reduce(0) { $0 + $1.pool.used } }
}
