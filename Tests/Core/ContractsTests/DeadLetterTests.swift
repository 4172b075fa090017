import Contracts
import Testing

@Suite("Dead letters")
struct DeadLetterTests {
    private static func read(_ headers: [String: String]) -> DeadLetter? { DeadLetter { headers["\($0)"] } }
    private static func headers(_ letter: DeadLetter) -> [String: String] {
        Dictionary(letter.headers.map { ("\($0.name)", $0.value) }) { $1 }
    }

    private static let origins: [DeadLetter.Origin] = [
        .record(topic: "trips.events", partition: 3, offset: 41, timestamp: 1_546_300_850_000),
        .row(source: "trips.csv", line: 4), .row(source: "api", line: nil),
        .outbox(receiver: "webhook", topic: "trips.anomalies", partition: 0, offset: 7, timestamp: -1),
    ]

    @Test("what is written is read, whatever its origin, stage and reason", arguments: origins)
    func roundTrip(_ origin: DeadLetter.Origin) {
        for stage in DeadLetter.Stage.allCases {
            for (number, reason) in DeadLetterReason.allCases.enumerated() {
                let letter = DeadLetter(
                    id: "trips:42", origin: origin, stage: stage, reason: reason, field: number % 2 == 0 ? "" : "fare,tip",
                    detail: "`fare` is missing; it is required.", service: "stream-processor", originalSize: number % 3 == 0 ? 2_000_000 : nil)
                #expect(Self.read(Self.headers(letter)) == letter)
                #expect(letter.isWhole == (number % 3 != 0))
            }
        }
    }

    @Test("a letter of version 0.1.0 is read, its stage from its service; headers that nobody knows are passed over")
    func old() throws {
        var headers = [
            "id": "trips:42", "source-topic": "trips.events", "source-partition": "3", "source-offset": "41", "source-timestamp": "1546300850000",
            "reason": "missing-field", "field": "fare", "detail": "`fare` is missing; it is required.", "service": "stream-processor",
        ]
        let letter = try #require(Self.read(headers))
        #expect(letter.origin == .record(topic: "trips.events", partition: 3, offset: 41, timestamp: 1_546_300_850_000))
        #expect(letter.stage == .processing && letter.reason == .missingField && letter.field == "fare")
        // All that it said is written in the same words.
        #expect(Self.headers(letter).filter { headers[$0.key] != nil } == headers)
        headers["version"] = "9"
        headers["stage"] = "a stage of a later version"
        headers["colour"] = "blue"
        #expect(Self.read(headers) == letter)
        #expect(
            Self.read(["source-topic": "trips.csv", "source-offset": "4", "reason": "column-count", "service": "producer"])?.origin
                == .row(source: "trips.csv", line: 4))
    }

    @Test(
        "what is no dead letter is not read as one",
        arguments: [
            [:], ["reason": "missing-field"], ["source-topic": "t"], ["reason": "nonsense", "source-topic": "t"],
            ["reason": "late", "source-topic": "t", "source-partition": "0"],
        ] as [[String: String]])
    func foreign(_ headers: [String: String]) { #expect(Self.read(headers) == nil) }
}
