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
}
