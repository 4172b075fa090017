/// The simulators there are. A new one is a type that conforms to `Simulator` and a line in `known`.
public enum Simulators {
    private struct Entry {
        let name: String
        let fields: [SimulatedField]
        var maximumEntities = 1_000_000
        /// Milliseconds.
        var interval: Int64 = 1_000
        let make: @Sendable (SimulatorSettings) -> any Simulator
    }

    private static let known = [
        Entry(name: Battlefield.name, fields: Battlefield.fields, make: { Battlefield($0) }),
        Entry(name: IoTSensors.name, fields: IoTSensors.fields, make: { IoTSensors($0) }),
        Entry(
            name: TaxiTrips.name, fields: TaxiTrips.fields, maximumEntities: TaxiTrips.maximumEntities, interval: TaxiTrips.interval,
            make: { TaxiTrips($0) }),
        Entry(name: ServerLogs.name, fields: ServerLogs.fields, make: { ServerLogs($0) }),
    ]

    /// Every name that `make` accepts.
    public static var names: [String] { known.map(\.name) }

    /// The fields that simulator writes, or nil if there is none of that name. To check a use case's schema against its source.
    public static func fields(of name: String) -> [SimulatedField]? {
        known.first { $0.name == name }?.fields
    }

    /// That simulator as it is where nobody sets anything: 100 entities with an event a second each, of taxi zones with one a minute.
    public static func usual(_ name: String) -> SimulatorSettings {
        SimulatorSettings(name: name, interval: known.first { $0.name == name }?.interval ?? 1_000, start: 0)
    }

    /// A simulator at its first event. Pass it on to a generic function, so that the loop over events makes no existential calls.
    public static func make(_ settings: SimulatorSettings) throws(SimulationError) -> any Simulator {
        guard let entry = known.first(where: { $0.name == settings.name }) else {
            throw SimulationError(
                setting: "name",
                message: "There is no simulator named `\(settings.name)`; choose one of: \(names.joined(separator: ", ")).")
        }
        guard (1...1_000_000).contains(settings.entities) else {
            throw SimulationError(setting: "entities", message: "A simulation needs 1 to 1,000,000 entities, not \(settings.entities).")
        }
        guard settings.entities <= entry.maximumEntities else {
            throw SimulationError(
                setting: "entities",
                message: "The simulator \(settings.name) has at most \(entry.maximumEntities) entities, not \(settings.entities).")
        }
        guard (10...3_600_000).contains(settings.interval) else {
            throw SimulationError(
                setting: "interval",
                message: "The interval between two events of an entity must be 10 ms to 1 h, not \(settings.interval) ms.")
        }
        guard (0...0.5).contains(settings.anomalyRate) else {
            throw SimulationError(
                setting: "anomaly_rate", message: "The share of anomalous events must be 0 to 0.5, not \(settings.anomalyRate).")
        }
        for (name, share) in [("late", settings.late), ("missing", settings.missing)] where !(0...0.5).contains(share) {
            throw SimulationError(setting: name, message: "The share of \(name) events must be 0 to 0.5, not \(share).")
        }
        guard (1...3_600_000).contains(settings.lateness) else {
            throw SimulationError(setting: "lateness", message: "Events can be 1 ms to 1 h late, not \(settings.lateness) ms.")
        }
        // Kinds are checked on a simulation of one, before a large one is made with none that can befall anybody.
        var probe = settings
        (probe.entities, probe.kinds) = (1, [])
        let known = entry.make(probe).anomalyKinds
        if let wrong = settings.kinds.first(where: { !known.contains($0) }) {
            throw SimulationError(
                setting: "kinds", message: "The simulator \(settings.name) has no anomaly `\(wrong)`; it has \(known.joined(separator: ", ")).")
        }
        let simulator = entry.make(settings)
        return settings.late > 0 || settings.missing > 0 ? disturbed(simulator) : simulator
    }

    private static func disturbed(_ simulator: some Simulator) -> any Simulator { Disturbed(simulator) }
}
