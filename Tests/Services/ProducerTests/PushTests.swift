import Contracts
import Foundation
import HTTPClient
import JSON
import KafkaClient
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import Producer
@testable import ServiceKit

/// Pushed events while the broker is slow, away, or refuses them.
@Suite("Pushed events under pressure")
struct PushTests {
    /// A pipeline on a thread of its own with a queue of 50 events and little patience.
    private final class Run {
        let broker: EmbeddedBroker
        let life = Lifecycle()
        private let client: HTTPClient
        private let url: String

        init(tokenFile: String? = nil) throws {
            broker = try makeBroker("pumps")
            client = try HTTPClient()
            var push = PushedEvents()
            push.port = try freePort()
            push.id = "n"
            push.tokenFile = tokenFile
            url = "http://127.0.0.1:\(push.port)/events"
            let service = Service(name: "producer", log: Logger(service: "producer", level: .error, format: .text), metrics: Metrics(), life: life)
            let producer = try KafkaProducer(
                broker.settings,
                properties: ["message.timeout.ms": "0", "queue.buffering.max.messages": "50"])
            let pipeline = try PushPipeline(
                push, schema: Sample.battlefield(), topics: Topics(useCase: "pumps"), service: service,
                metrics: ProducerMetrics(service.metrics), producer: producer, delivered: RecentIDs(), patience: 300)
            Threads.start("push") {
                do { try pipeline.serve(host: "127.0.0.1") } catch { Issue.record(error) }
            }
            let life = life
            try #require(withDeadline(20) { life.obstacle == nil })
        }

        deinit { life.stop() }

        func post(_ numbers: some Sequence<Int>, note: String = "", authorization: String? = nil) throws -> HTTPResponse {
            let events = numbers.map { number in
                #"{"soldier_id":\#(number % 7),"heart_rate":80,"stamina":\#(note.isEmpty ? "90" : note),"timestamp":1732456789.123,"n":\#(number)}"#
            }
            let headers = authorization.map { [HTTPHeader("Authorization", $0)] } ?? []
            return try client.send(HTTPRequest(.post, url, headers: headers, body: Array("[\(events.joined(separator: ","))]".utf8)))
        }

        func send(_ body: [UInt8], _ headers: [HTTPHeader] = []) throws -> HTTPResponse {
            try client.send(HTTPRequest(.post, url, headers: headers, body: body))
        }

        func send(_ body: String) throws -> HTTPResponse { try send(Array(body.utf8)) }

        /// Sends again until it is taken, as a client should.
        func postUntilTaken(_ numbers: some Sequence<Int>) throws -> Bool { try withDeadline(30) { try post(numbers).status == 202 } }

        func ids() throws -> [String] { try everything(on: ["pumps.events"], of: broker).map(\.id).sorted() }
    }

    private static func ids(_ numbers: Range<Int>) -> [String] { numbers.map { "push:\($0)" }.sorted() }

    @Test("a full buffer is 429 with Retry-After, then 202 again; nothing is lost, and nothing that is sent again under its id is doubled")
    func fullBuffer() throws {
        let run = try Run()
        #expect(try run.post(0..<10).status == 202)
        run.broker.setDown()
        for _ in 0..<3 {
            let answer = try run.post(10..<110)
            #expect(answer.status == 429)
            #expect(answer.retryAfter == 1)
        }
        #expect(try run.post(110..<115).status == 429)
        run.broker.setUp()
        #expect(try run.postUntilTaken(10..<110))
        #expect(try run.postUntilTaken(110..<115))
        #expect(try run.post(0..<3).status == 202)
        #expect(try run.ids() == Self.ids(0..<115))
    }

    @Test("a broker that is away is 503 with Retry-After, at once for those who come later; then 202, and nothing is doubled")
    func brokerAway() throws {
        let run = try Run()
        #expect(try run.post(0..<10).status == 202)
        run.broker.setDown()
        for _ in 0..<3 {
            let answer = try run.post(10..<20)
            #expect(answer.status == 503)
            #expect(answer.retryAfter == 1)
        }
        #expect(try run.post(20..<30).status == 503)
        #expect(withDeadline(10) { run.life.trouble?.contains("confirm") == true })
        run.broker.setUp()
        #expect(try run.postUntilTaken(10..<20))
        #expect(try run.postUntilTaken(20..<30))
        #expect(try run.ids() == Self.ids(0..<30))
        #expect(withDeadline(10) { run.life.trouble == nil })
    }

    @Test("a blank line in the token file is no token, and no request ends the producer")
    func tokens() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-push-tokens-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "   \na-token-of-sixteen\n\n".write(toFile: file, atomically: true, encoding: .utf8)
        let run = try Run(tokenFile: file)
        for wrong in [nil, "Bearer", "Bearer ", "Bearer  ", "Bearer x", "Basic a-token-of-sixteen", "Bearer a-token-of-sixteen2"] {
            #expect(try run.post(0..<1, authorization: wrong).status == 401, "\(wrong ?? "none")")
        }
        #expect(try run.post(0..<3, authorization: "bearer a-token-of-sixteen").status == 202)
        #expect(try run.ids() == Self.ids(0..<3))
        try "short\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(throws: BearerTokens.Failure.self) { try BearerTokens(file: file) }
    }

    @Test("an event that is too large, for anybody or for the broker, is 413 for its own request; those before and behind it are taken")
    func refused() throws {
        let run = try Run()
        #expect(try run.post([0], note: "1" + String(repeating: "0", count: 1 << 20)).status >= 400)
        run.broker.refuseAsTooLarge(requests: 1)
        let answer = try run.post([1])
        #expect(answer.status == 413)
        #expect(answer.text.contains("Event 1"), "\(answer.text)")
        #expect(try run.post(2..<9).status == 202)
        // Once the topic takes larger ones, it may come again.
        #expect(try run.post([1]).status == 202)
        #expect(try run.ids() == Self.ids(1..<9))
    }

    @Test("of a list that is good in parts the good events are taken, and the answer says which were not, where they stand, and why")
    func partly() throws {
        let run = try Run()
        let good = { (n: Int) in #"{"soldier_id":\#(n),"heart_rate":80,"stamina":90,"timestamp":1732456789.123,"n":\#(n)}"# }
        let answer = try run.send("[\(good(1)),\n{\"soldier_id\":2},\n\(good(3)),\n\(good(4).replacing("80", with: "NaN"))]")
        #expect(answer.status == 207)
        let json = try JSONValue.parse(answer.body)
        #expect(json["accepted"]?.integer == 2)
        let refused = try #require(json["refused"]?.array)
        #expect(refused.map { $0["event"]?.integer } == [2, 4])
        #expect(refused.map { $0["line"]?.integer } == [2, 4])
        #expect(refused.map { $0["reason"]?.string } == ["missing-field", "malformed"])
        #expect(refused[0]["field"]?.string?.contains("heart_rate") == true)
        #expect(refused[0]["byte"]?.integer == Int64(good(1).utf8.count + 3))
        #expect(refused[1]["detail"]?.string?.contains("NaN") == true)
        #expect(try run.ids() == ["push:1", "push:3"])
        // Sent again, what was taken is known.
        #expect(try JSONValue.parse(try run.send("[\(good(1)),{}]").body)["known"]?.integer == 1)
    }

    @Test("gzip and an object a line are taken, whatever the media type says; another coding is 415")
    func forms() throws {
        let run = try Run()
        let good = { (n: Int) in #"{"soldier_id":\#(n),"heart_rate":80,"stamina":90,"timestamp":1732456789.123,"n":\#(n)}"# }
        let folder = try Folder()
        let file = try folder.write("[\(good(1)),\(good(2))]", as: "body")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/gzip")
        process.arguments = [file]
        try process.run()
        process.waitUntilExit()
        let gzip = Array(try Data(contentsOf: URL(filePath: file + ".gz")))
        #expect(try run.send(gzip, [HTTPHeader("Content-Encoding", "gzip")]).status == 202)
        #expect(try run.send(Array(gzip.dropLast(9)), [HTTPHeader("Content-Encoding", "gzip")]).status == 400)
        let lines = [HTTPHeader("Content-Type", "application/x-ndjson")]
        #expect(try run.send(Array("\(good(3))\r\n\n\(good(4))\n".utf8), lines).status == 202)
        #expect(try run.send("\(good(5))\n\(good(6))").status == 202)
        let partly = try run.send(Array("\(good(7))\n{\"n\":\n\(good(8))\n".utf8), lines)
        #expect(partly.status == 207)
        #expect(partly.text.contains(#""event":2,"line":2"#), "\(partly.text)")
        let other = try run.send(Array(good(9).utf8), [HTTPHeader("Content-Encoding", "br")])
        #expect(other.status == 415)
        #expect(other.header("Accept-Encoding") == "gzip, deflate")
        #expect(try run.ids() == Self.ids(1..<9))
    }

    @Test("a body that is no JSON is 400 with the place", arguments: [("[{\"a\":1},\n{\"a\" 2}", "on line 2, at byte 15"), ("nothing", "at byte 0")])
    func place(body: String, place: String) throws {
        let answer = try Run().send(body)
        #expect(answer.status == 400)
        #expect(answer.text.contains(place), "\(answer.text)")
    }
}
