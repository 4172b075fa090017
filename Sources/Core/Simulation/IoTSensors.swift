/// Sensors in buildings, one reading a second each: temperature, humidity, pressure and vibration, some of them faulty.
///
/// A healthy reading follows the hour of the day (warmest in the afternoon) and the weekend (half the daily swing), wanders slowly, and carries
/// its sensor's noise. Sensors send one after the other, evenly over the interval.
///
/// **Faults.** Each sensor has one weakness (`SensorFault`), drawn from its seed, and shows it for exactly `anomalyRate` of its time. The
/// sensors' schedules are spread evenly, so that the share of each kind holds in a minute of thousands of sensors as in a day. Sizes
/// are multiples of the noise, so that a fault is as hard to see at a barometer as at a thermometer.
///
/// Cost: about 0.1 µs an event, 150 bytes a sensor.
public struct IoTSensors: Simulator {
    static let name = "iot-sensors"
    static let fields = [
        SimulatedField("sensor_id", .text), SimulatedField("timestamp", .time), SimulatedField("metric", .text),
        SimulatedField("value", .number), SimulatedField("unit", .text), SimulatedField("location", .text),
    ]

    public let settings: SimulatorSettings
    public var fields: [SimulatedField] { Self.fields }
    public let anomalyKinds = SensorFault.allCases.map(\.name)

    private static let zones = 100
    private var sensors: [Sensor]
    private var next = 0
    private var round: Int64 = 0
    private let step: SensorStep

    /// Ranges are checked by `Simulators.make`; a share of 0 breaks nothing.
    init(_ settings: SimulatorSettings) {
        self.settings = settings
        step = SensorStep(seconds: Double(settings.interval) / 1_000, anomalyRate: settings.anomalyRate, kinds: settings.kinds)
        sensors = []
        sensors.reserveCapacity(settings.entities)
        for index in 0..<settings.entities { sensors.append(Sensor(index: index, seed: settings.seed, step: step)) }
    }

    public mutating func next(into event: inout SimulatedEvent) {
        let index = next
        event.eventTime = settings.start + round * settings.interval + Int64(index) * settings.interval / Int64(sensors.count)
        let reading = sensors[index].advance(step, at: Double(event.eventTime) / 1_000)
        event.entity = index
        event.sequence = round
        event.anomaly = reading.fault
        event.episode = (event.eventTime - reading.elapsed * settings.interval, event.eventTime + reading.remaining * settings.interval)
        if event.values.count != 6 { event.values = Array(repeating: .missing, count: 6) }
        event.text.removeAll(keepingCapacity: true)
        event.values[0] = .text(event.write("sensor_", number: index + 1, digits: 6))
        event.values[1] = .number(Double(event.eventTime) / 1_000)
        event.values[2] = .text(event.write(sensors[index].metric.name))
        event.values[3] = .number(reading.value)
        event.values[4] = .text(event.write(sensors[index].metric.unit))
        event.values[5] = .text(event.write("zone_", number: index % Self.zones + 1, digits: 1))
        next += 1
        if next == sensors.count {
            next = 0
            round += 1
        }
    }
}

extension SimulatedEvent {
    /// Adds a text to the event's bytes.
    mutating func write(_ word: StaticString) -> Range<Int> {
        let first = text.count
        word.withUTF8Buffer { text.append(contentsOf: $0) }
        return first..<text.count
    }

    /// Adds a text and a number of at least so many digits, zeros in front.
    mutating func write(_ word: StaticString, number: Int, digits: Int) -> Range<Int> {
        let first = write(word).lowerBound
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            text.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
        return first..<text.count
    }
}
