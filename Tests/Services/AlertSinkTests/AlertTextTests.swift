import Alerting
import Contracts
import Testing
import UseCases

@testable import AlertSink

@Suite("The words of an alert")
struct AlertTextTests {
    @Test(
        "Numbers are rounded for people",
        arguments: [
            (0.98765, 3, "0.988"), (41.2345, 4, "41.23"), (123_456.7, 4, "123457"), (-0.000123456, 3, "-0.000123"), (0, 4, "0"),
            (3, 4, "3"),
            (0.1 + 0.2, 4, "0.3"), (1e-20, 3, "0"), (.infinity, 3, "inf"),
        ] as [(Double, Int, String)])
    func numbers(_ value: Double, _ digits: Int, _ expected: String) {
        #expect(AlertText.number(value, digits: digits) == expected)
    }

    private func anomaly(_ features: [Anomaly.Feature]) -> Anomaly {
        Anomaly(
            id: "i", set: "s", entity: "e", eventTime: 0, producedAt: 0, score: 0.9, status: "BAD", confidence: 1, model: "m", version: 1,
            features: features)
    }

    @Test("A template says all that it can")
    func placeholders() throws {
        let definition = """
            name: u
            event: { entity: e, time: t, fields: { e: { type: string }, t: { type: timestamp, format: iso8601 }, fare: { type: number } } }
            features: { trip: { fare: fare, other: fare } }
            detector: { name: isolation-forest }
            threshold: { contamination: 0.02 }
            alerts:
              title: "{type} {entity} {status} {{plain}} {severity} {anomalies}"
              resolved: "over {anomalies}"
              payloads: { webhook: '{{"a":"{text}","n":{anomalies}}}' }
              text: "{id} {score} {confidence} {event_time} {model} {version} {feature.fare} {feature.other}"
            """
        let text = AlertText(try UseCase.parse(definition, file: "u.yaml"))
        var group = AlertGroup(key: "e\u{1F}s")
        group.alertID = "x9"
        group.sequence = 2
        group.anomalies = 4
        group.severity = .critical
        group.evidence = anomalyJSON(id: "i", group: "e", at: 5, score: 0.9)
        var notice = Notice(occasion: .updated, group: group, at: 7, to: [])
        let alert = try #require(text.record(notice))
        #expect(alert.title == "Still going on: trip e SUSPICIOUS {plain} critical 4")
        #expect(alert.text == "i 0.9 0.9 1970-01-01T00:00:00.000Z isolation-forest 3 41.25 missing")
        #expect(alert.id == "x9/2")
        #expect(alert.group == "e/s")
        #expect(alert.alertedAt == 7)
        #expect(try AlertRecord(parsing: alert.json) == alert)
        notice.occasion = .resolved
        #expect(text.record(notice)?.text == "over 4")
        #expect(
            text.payload("webhook", alert).map { String(decoding: $0, as: UTF8.self) }
                == #"{"a":"i 0.9 0.9 1970-01-01T00:00:00.000Z isolation-forest 3 41.25 missing","n":4}"#)
        #expect(text.payload("slack", alert) == nil)
    }

    @Test("The features that explain most come first, and small ones are left out")
    func topFeatures() {
        let features: [Anomaly.Feature] = [
            Anomaly.Feature(name: "small", actual: 1, expected: 1, contribution: 0.05),
            Anomaly.Feature(name: "fare", actual: 41.25, expected: 3.1, contribution: 0.2),
            Anomaly.Feature(name: "speed", actual: nil, expected: 11, contribution: -0.75),
        ]
        #expect(AlertText.topFeatures(of: anomaly(features)) == "speed missing (expected 11), fare 41.25 (expected 3.1)")
        #expect(AlertText.topFeatures(of: anomaly([features[0]])) == "small 1 (expected 1)")
        #expect(AlertText.topFeatures(of: anomaly([])) == "no single feature")
    }
}
