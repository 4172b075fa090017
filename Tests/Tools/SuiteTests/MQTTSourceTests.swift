import Foundation
import HTTPClient
import KafkaClient
import TestSupport
import Testing

/// MQTT as a source, from a real broker.
@Suite(.disabled(if: Mosquitto.isMissing, "The package mosquitto is not installed."))
struct MQTTSourceTests {
    /// A broker of each kind and a producer between them that can be killed and started again.
    private final class Run {
        let folder: URL
        let mosquitto: Mosquitto
        let broker: EmbeddedBroker
        let tail: TopicTail
        private(set) var producer: ServiceProcess?
        private let port: Int

        init(event: String, source: (Mosquitto) -> String) throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-mqtt-\(UUID().uuidString.prefix(8))")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            mosquitto = try Mosquitto()
            port = try freePort()
            let definition = """
                name: pumps
                partitions: 4
                event:
                  entity: pump
                  time: at
                  fields:
                \(event.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
                features:
                  reading: { bar: bar }
                source:
                  mqtt:
                \(source(mosquitto).split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
                detector: { name: robust-z }
                """
            try definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
            broker = try EmbeddedBroker(topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "pumps.\($0)", partitions: 4) })
            tail = try TopicTail(broker.bootstrapServers, topics: ["pumps.events", "pumps.dead-letter"], partitions: 4)
        }

        deinit {
            kill()
            try? FileManager.default.removeItem(at: folder)
        }

        func start(_ environment: [String: String] = [:]) throws {
            producer = try ServiceProcess(
                "producer", ["--use-case", folder.path],
                environment: environment.merging([
                    "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_PORT": "\(port)", "VYUHA_HOST": "127.0.0.1",
                ]) { $1 })
        }

        /// Until it has subscribed.
        func startReady(_ environment: [String: String] = [:]) throws {
            try start(environment)
            let client = try HTTPClient()
            let isReady = withDeadline(30) { (try? client.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/ready")).status) == 200 }
            try #require(isReady, "\(producer?.output ?? "")")
        }

        func kill() {
            if let producer { Foundation.kill(producer.pid, SIGKILL) }
            _ = producer?.wait(10)
        }

        func stop() -> Int32? {
            producer?.terminate()
            return producer?.wait(15)
        }

        func wait(for count: Int, _ seconds: Double = 60) throws {
            let isThere = try withDeadline(seconds) {
                try tail.poll()
                return tail.records.count >= count
            }
            try #require(isThere, "\(tail.records.count) of \(count): \(producer?.output ?? "")")
        }
    }

    private static let event = """
        pump: string
        site: string
        at: { type: timestamp, format: epoch-milliseconds }
        bar: number
        """

    private static func reading(_ number: Int) -> String { #"{"at":\#(1_796_000_000_000 + number),"bar":\#(number)}"# }

    @Test("producer and broker are killed, and every message becomes one event; levels of the topic are fields")
    func killed() throws {
        let run = try Run(event: Self.event) { "server: mqtt://127.0.0.1:\($0.port)\ntopics: [\"plant/{site}/+/{pump}\"]" }
        try run.startReady()
        var sent = 0
        func publish(_ count: Int) throws {
            for site in ["north", "south"] {
                try run.mosquitto.publish((sent..<sent + count).map(Self.reading).joined(separator: "\n"), to: "plant/\(site)/pump/p\(sent)")
                sent += count
            }
        }
        try publish(500)
        try run.wait(for: 200)
        run.kill()
        // What comes while nobody listens waits in the session.
        try publish(500)
        try run.startReady()
        try run.wait(for: 1_200)
        run.kill()
        try run.startReady()
        try run.wait(for: sent)
        // What the broker has not yet been told is read again, and left out.
        run.mosquitto.kill()
        try run.mosquitto.start()
        try #require(withDeadline(30) { run.producer?.output.contains("the MQTT broker is back") == true }, "\(run.producer?.output ?? "")")
        try publish(100)
        try run.wait(for: sent)
        #expect(run.stop() == 0, "\(run.producer?.output ?? "")")
        try run.tail.poll()
        let bars = run.tail.records.compactMap { $0.json?["bar"]?.integer }
        #expect(bars.count == sent)
        #expect(Set(bars).count == sent)
        #expect(Set(run.tail.records.compactMap(\.id)).count == sent)
        for record in run.tail.records {
            #expect(record.topic == "pumps.events")
            #expect(record.json?["pump"]?.string == record.key.map { String(decoding: $0, as: UTF8.self) })
            #expect(["north", "south"].contains(record.json?["site"]?.string))
        }
    }

    @Test("with TLS and a password; a bare value becomes a field, with the time it came; what the broker kept from before is passed over")
    func values() throws {
        let run = try Run(event: Self.event.replacing("site: string\n", with: "")) { mosquitto in
            """
            server: mqtts://localhost:\(mosquitto.tlsPort)
            ca_file: \(mosquitto.certificate.certificateFile)
            topics: [ "home/{pump}/bar" ]
            value: bar
            arrival: at
            """
        }
        try run.mosquitto.publish("1", to: "home/old/bar", retain: true)
        try run.start(["VYUHA_MQTT_USER": "reader", "VYUHA_MQTT_PASSWORD": "wrong"])
        try #require(withDeadline(30) { run.producer?.output.contains("refuses the connection") == true }, "\(run.producer?.output ?? "")")
        #expect(run.stop() == 0)
        let password = run.folder.appending(path: "password").path
        try "drumlin\n".write(toFile: password, atomically: true, encoding: .utf8)
        let before = Int64(Date().timeIntervalSince1970 * 1_000)
        try run.startReady(["VYUHA_MQTT_USER": "reader", "VYUHA_MQTT_PASSWORD_FILE": password])
        try run.mosquitto.publish("21.5", to: "home/north/bar")
        try run.wait(for: 1)
        let record = try #require(run.tail.records.first)
        #expect(record.json?["pump"]?.string == "north")
        #expect(record.json?["bar"]?.double == 21.5)
        #expect(try #require(record.json?["at"]?.integer) >= before)
        #expect(run.stop() == 0)
        #expect(run.producer?.output.contains("drumlin") == false)
    }

    @Test("an id of its own identifies a message; what is no JSON object is a dead letter with its topic, and the others come")
    func ids() throws {
        let run = try Run(event: Self.event) {
            "server: mqtt://127.0.0.1:\($0.port)\ntopics: [ \"plant/#\", \"more/+\" ]\nid: n\nclient_id: reader-1"
        }
        try run.startReady()
        try run.mosquitto.publish(#"{"n":"a","pump":"p1","site":"s","at":1796000000000,"bar":1}"#, to: "plant/x/y")
        try run.mosquitto.publish("21.5\n[1]", to: "more/z")
        try run.mosquitto.publish(#"{"n":"b","pump":"p1","site":"s","at":1796000000001,"bar":2}"#, to: "plant")
        try run.wait(for: 4)
        #expect(Set(run.tail.records.filter { $0.topic == "pumps.events" }.compactMap(\.id)) == ["reader-1:a", "reader-1:b"])
        let letters = run.tail.records.filter { $0.topic == "pumps.dead-letter" }
        #expect(letters.count == 2)
        #expect(letters.allSatisfy { $0.headers["source-topic"] == "more/z" && $0.headers["reason"] == "not-an-object" })
        #expect(run.stop() == 0)
    }
}
