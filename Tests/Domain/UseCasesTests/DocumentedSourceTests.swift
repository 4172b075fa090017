import Foundation
import TestSupport
import Testing
import UseCases

/// What services/usecases/README.md shows of `source` is right as it stands there.
@Suite struct DocumentedSourceTests {
    @Test("the shortest source of each kind is accepted, and every kind is there")
    func shortest() throws {
        let text = try String(contentsOfFile: repository + "/services/usecases/README.md", encoding: .utf8)
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("    source: {") }
        let base = replacing(
            "source:\n  csv: { file: a.csv, delimiter: \";\", columns: { value: val }, label: truth, label_kind: kind }\n  rate: 100\n", "")
        var kinds: Set<String> = []
        for line in lines {
            let example = line.drop { $0 == " " }
            kinds.formUnion(example.dropFirst("source: { ".count).prefix { $0 != ":" }.split(separator: " ").map(String.init))
            let definition = base.replacing("training:\n  csv: { file: b.csv }", with: example)
            #expect(throws: Never.self, "\(example)") { _ = try UseCase.parse(definition, file: "usecase.yaml") }
        }
        #expect(kinds == ["csv", "jsonl", "access_log", "kafka", "mqtt", "http", "postgresql", "push", "simulator"])
    }

    @Test("an MQTT source: levels in braces are fields, and what cannot be is refused")
    func mqtt() throws {
        func source(_ text: String) throws -> SubscribedTopics {
            let definition = replacing(
                "source:\n  csv: { file: a.csv, delimiter: \";\", columns: { value: val }, label: truth, label_kind: kind }\n  rate: 100\n", ""
            )
            .replacing("training:\n  csv: { file: b.csv }", with: "source: { mqtt: { \(text) } }")
            guard case .mqtt(let found)? = try UseCase.parse(definition, file: "usecase.yaml").source?.kind else {
                throw CocoaError(.featureUnsupported)
            }
            return found
        }
        let found = try source(#"server: "mqtts://b", topics: ["plant/{sensor}/+/#"], value: load, arrival: at"#)
        #expect(found.filters == [SubscribedTopics.Filter(text: "plant/+/+/#", fields: [1: "sensor"])])
        func matches(_ topic: String) -> Bool { found.filters[0].matches(topic.split(separator: "/", omittingEmptySubsequences: false)) }
        #expect(matches("plant/a/b") && matches("plant/a/b/c/d") && !matches("plant/a") && !matches("other/a/b/c"))
        for wrong in [
            #"server: "http://b", topics: ["a"]"#, #"server: "mqtt://b", topics: []"#, #"server: "mqtt://b", topics: ["a/{nothing}"]"#,
            #"server: "mqtt://b", topics: ["a/x{sensor}"]"#, #"server: "mqtt://b", topics: ["a/#/b"]"#, #"server: "mqtt://b", topics: ["a+"]"#,
            #"server: "mqtt://b", topics: ["a"], qos: 2"#, #"server: "mqtt://b", topics: ["a"], arrival: value"#,
            #"server: "mqtt://b", topics: ["a"], value: load, id: n"#,
        ] {
            #expect(throws: (any Error).self, "\(wrong)") { _ = try source(wrong) }
        }
    }
}
