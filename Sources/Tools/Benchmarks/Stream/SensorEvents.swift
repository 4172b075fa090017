import JSON
import KafkaClient
import Text

/// Sensor events of about 150 bytes, the same every time: the form and rate of `sensors.py` in the peers' measurements.
struct SensorEvents {
    let sensors: Int
    /// Events of all sensors in one second of event time.
    let perSecond: Double
    private var random = SplitMix64(seed: 7)

    init(sensors: Int, perSecond: Double) {
        self.sensors = sensors
        self.perSecond = perSecond
    }

    /// Number of the sensor that sends event `index`.
    func sensor(_ index: Int) -> Int { index &* 7919 % sensors }

    /// Three uniform numbers make a bell that is good enough for a load.
    mutating func value() -> Double { 20 + (random.unit() + random.unit() + random.unit() - 1.5) * 6 }

    /// Event time in seconds.
    func time(_ index: Int) -> Double { 1_700_000_000 + Double(index) / perSecond }

    /// `sensor-00042`.
    static func append(name sensor: Int, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "sensor-".utf8)
        var least = 10_000
        while least > sensor, least > 1 {
            bytes.append(UInt8(ascii: "0"))
            least /= 10
        }
        NumberText.append(Int64(sensor), to: &bytes)
    }

    static func name(_ sensor: Int) -> [UInt8] {
        var name: [UInt8] = []
        append(name: sensor, to: &name)
        return name
    }

    /// Sends `count` events, each sensor to one partition.
    mutating func fill(_ topic: String, partitions: Int, count: Int, through producer: KafkaProducer) throws {
        let names = (0..<sensors).map(Self.name)
        let places = (0..<sensors).map { "hall-" + String($0 % 40) }
        var batch = OutgoingBatch(topics: [topic])
        var json = JSONWriter(capacity: 256)
        for index in 0..<count {
            let sensor = sensor(index)
            json.removeAll()
            json.beginObject()
            json.key("sensor_id")
            json.value(utf8: names[sensor], 0..<names[sensor].count)
            json.key("timestamp")
            json.value((time(index) * 1000).rounded() / 1000)
            json.key("metric")
            json.value("temperature" as StaticString)
            json.key("value")
            json.value((value() * 1000).rounded() / 1000)
            json.key("meta")
            json.beginObject()
            json.key("unit")
            json.value("celsius" as StaticString)
            json.key("location")
            json.value(places[sensor])
            json.endObject()
            json.endObject()
            batch.append(topic: 0, partition: Int32(sensor % partitions), key: names[sensor], value: json.bytes)
            if batch.count == 1_000 || index == count - 1 {
                try producer.send(batch)
                batch.removeAll()
            }
        }
        try producer.flush(timeout: 60_000)
    }
}
