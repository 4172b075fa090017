/// Which simulator to run, how large, how often and how much of it is wrong. `Simulators.make` checks the ranges.
public struct SimulatorSettings: Sendable, Equatable {
    /// One of `Simulators.names`.
    public var name: String
    /// How many soldiers, sensors, hosts or zones send events: 1...1,000,000; there are 265 taxi zones.
    public var entities: Int
    /// Milliseconds between two events of one entity: 10...3,600,000.
    public var interval: Int64
    /// The share of events that are anomalous: 0...0.5.
    public var anomalyRate: Double
    /// The same settings with the same seed give the same events on every machine.
    public var seed: UInt64
    /// Event time of the first event in milliseconds since the epoch. A simulator has no clock of its own.
    public var start: Int64
    /// Which of the simulator's `anomalyKinds` occur; empty: all.
    public var kinds: [String] = []
    /// The share of events that come late, after younger ones: 0...0.5.
    public var late = 0.0
    /// How late they come at most, milliseconds of event time: 1...3,600,000. Every lateness up to it is as likely.
    public var lateness: Int64 = 5_000
    /// The share of events that never come: 0...0.5.
    public var missing = 0.0

    public init(
        name: String, entities: Int = 100, interval: Int64 = 1_000, anomalyRate: Double = 0.05, seed: UInt64 = 7, start: Int64
    ) {
        self.name = name
        self.entities = entities
        self.interval = interval
        self.anomalyRate = anomalyRate
        self.seed = seed
        self.start = start
    }
}

/// A setting that no simulator can run with: which one, and a sentence that says what to do.
public struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
    public let setting: String
    public let message: String

    public init(setting: String, message: String) {
        self.setting = setting
        self.message = message
    }

    public var description: String { message }
}

/// The value of one field of a simulated event.
public enum SimulatedValue: Sendable, Equatable {
    /// The field is absent from this event.
    case missing
    case integer(Int64)
    case number(Double)
    /// UTF-8 bytes inside `SimulatedEvent.text`.
    case text(Range<Int>)
}

/// What a simulator's field carries; `time` is the event time in epoch seconds, with milliseconds as the fraction.
public enum SimulatedFieldKind: Sendable, Equatable { case integer, number, text, time }

/// Name and kind of one field that a simulator writes.
public struct SimulatedField: Sendable, Equatable {
    public let name: String
    public let kind: SimulatedFieldKind

    public init(_ name: String, _ kind: SimulatedFieldKind) {
        self.name = name
        self.kind = kind
    }
}

/// One simulated event. The caller keeps one and passes it to every `next`, so that nothing is allocated per event.
public struct SimulatedEvent: Sendable {
    /// Index of the entity, from 0.
    public var entity = 0
    /// The number of this event among the events of its entity, from 0.
    public var sequence: Int64 = 0
    /// Milliseconds since the epoch.
    public var eventTime: Int64 = 0
    /// One value per field of the simulator, in the same order.
    public var values: [SimulatedValue] = []
    /// The bytes that `SimulatedValue.text` points into.
    public var text: [UInt8] = []
    /// Ground truth: 0 for a normal event, else n for the n-th of the simulator's `anomalyKinds`, counted from 1.
    public var anomaly = 0
    /// When the anomaly that this event is part of began and when it will be over, milliseconds; meaningless for a normal event.
    public var episode: (start: Int64, end: Int64) = (0, 0)
    /// False for an event of an anomaly that shows only in how many events there are: by itself it is as it should be.
    public var isJudged = true

    public init() {}
}

/// An endless, seeded source of events with ground truth.
///
/// Events come in order of event time. The entities are spread evenly over the interval, so that 100 entities with one event a second
/// each give an event every 10 ms and not a burst every second. Pure: no I/O, no clock; one thread at a time.
public protocol Simulator: Sendable {
    var settings: SimulatorSettings { get }
    /// The fields of an event, in the order of `SimulatedEvent.values`.
    var fields: [SimulatedField] { get }
    /// What can be wrong with an event; `SimulatedEvent.anomaly` counts into it from 1.
    var anomalyKinds: [String] { get }
    /// Writes the next event over `event`. Allocates nothing once `event` has been through it.
    mutating func next(into event: inout SimulatedEvent)
}

extension Simulator {
    /// Leaves out `count` events, as a restart does that goes on where an earlier run stopped. Costs as much as making them.
    public mutating func skip(_ count: Int64) {
        var event = SimulatedEvent()
        var left = count
        while left > 0 {
            next(into: &event)
            left -= 1
        }
    }
}
