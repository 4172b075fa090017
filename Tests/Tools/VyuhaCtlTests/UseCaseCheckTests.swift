import Foundation
import ServiceKit
import TestSupport
import Testing
import UseCases
import YAMLReader

@testable import VyuhaCtl

/// The tree's own definitions, wherever the tests are started.
private let folder = repository + "/services/usecases"

private let definition = """
    name: small
    event: { entity: e, time: t, fields: { e: string, t: timestamp, x: { type: number, min: 0 }, y: { type: number, required: false } } }
    silence: { interval: 10s }
    features:
      each: { double_x: x * 2, y: y }
      minute: { window: { length: 60s, slide: 30s }, count: count(), mean_x: mean(x) }
    detector: { name: isolation-forest }
    """

@Suite("vyuhactl usecase check")
struct UseCaseCheckTests {
    private func run(_ cases: String) throws -> [CaseResult] {
        let useCase = try UseCase.parse(definition, file: "usecase.yaml")
        let runner = CaseRunner(plan: useCase.plan)
        return try DefinitionCase.load(try YAMLNode.parse(cases, file: "tests.yaml"), for: useCase).map(runner.run)
    }

    @Test("every case of every definition in the tree passes", arguments: try FileManager.default.contentsOfDirectory(atPath: folder).sorted())
    func ownCases(name: String) throws {
        let path = "\(folder)/\(name)"
        guard FileManager.default.fileExists(atPath: path + "/usecase.yaml") else { return }
        let results = try UseCaseCommand.run(path + "/tests.yaml", try UseCase.load(path))
        #expect(!results.isEmpty)
        for result in results { #expect(result.problems == [], "\(name): \(result.name)") }
    }

    @Test("the definition is named by --use-case as everywhere, or alone", arguments: [["--use-case", "pumps"], ["pumps"], ["--use-case=pumps"]])
    func naming(arguments: [String]) throws {
        var reader = SettingsReader(arguments: arguments, environment: [:])
        let settings = CheckSettings(&reader)
        #expect(settings?.subject == "pumps")
        try reader.finish()
    }

    @Test("features, missing values, windows, silence and refusals are compared")
    func passing() throws {
        let results = try run(
            """
            cases:
              - name: features
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1.5 }
                expect: { each: { double_x: 3, y: missing } }
              - name: windows
                events:
                  - { e: a, t: 2026-01-01T00:00:00Z, x: 1 }
                  - { e: a, t: 2026-01-01T00:00:40Z, x: 4 }
                windows:
                  - { set: minute, entity: a, end: 2026-01-01T00:01:00Z, features: { count: 2, mean_x: 2.5 } }
                  - { set: minute, entity: a, end: 2026-01-01T00:00:30Z, features: { count: 1 } }
              - name: silence
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1 }
                until: 2026-01-01T00:10:00Z
                silence: [{ kind: missing, entity: a }]
              - name: several wrong fields
                event: { e: a, t: never, x: -1 }
                refused: { reason: out-of-range, fields: [t, x] }
              - name: a late event
                events: [{ e: a, t: 2026-01-01T00:10:00Z, x: 1 }, { e: a, t: 2026-01-01T00:00:00Z, x: 2 }]
                expect: { each: { double_x: 4 } }
              - name: not JSON
                text: "{"
                refused: malformed
            """)
        #expect(results.map(\.problems) == Array(repeating: [], count: 6))
        #expect(results.map(\.line) == [2, 5, 12, 16, 19, 22])
    }

    @Test("what differs is said in a sentence")
    func failing() throws {
        let results = try run(
            """
            cases:
              - name: value
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1.5 }
                expect: { each: { double_x: 4, y: 1 } }
              - name: window
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1 }
                windows: [{ set: minute, entity: b, end: 2026-01-01T00:01:00Z, features: { count: 1 } }]
              - name: taken
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1 }
                refused: late
              - name: other reason, other fields
                event: { e: a, t: 2026-01-01T00:00:00Z, x: -1 }
                refused: { reason: wrong-type, fields: [y] }
              - name: refused
                event: { e: a, t: 2026-01-01T00:00:00Z, x: -1 }
                expect: { each: { double_x: -2 } }
              - name: not silent
                event: { e: a, t: 2026-01-01T00:00:00Z, x: 1 }
                silence: [{ kind: stuck, entity: a }]
            """)
        #expect(
            results.prefix(4).map(\.problems) == [
                ["`each.double_x` is 3.0, but should be 4.0.", "`each.y` is missing, but should be 1.0."],
                ["There is no record of `minute` in the window of b that ends at 2026-01-01T00:01:00.000Z."],
                ["The event was taken, but should be refused as late."],
                ["The event was refused as out-of-range, not as wrong-type.", "The fields that were refused are x, not y."],
            ])
        #expect(results[4].problems.count == 1)
        #expect(results[5].problems == ["a was not found stuck."])
    }

    @Test(
        "a case that makes no sense is refused at its place",
        arguments: [
            ("- { name: a, event: { e: a } }", "needs `expect`"), ("- { name: a, refused: late }", "exactly one of"),
            ("- { name: a, event: {}, expect: { each: { doubel_x: 1 } } }", "did you mean `double_x`"),
            ("- { name: a, event: {}, expect: { minute: { count: 1 } } }", "does not know the key `minute`"),
            ("- { name: a, event: {}, refused: lat }", "did you mean `late`"), ("- { event: {}, refused: late }", "needs the key `name`"),
            ("- { name: a, event: {}, until: soon, refused: late }", "This is no time"), ("[]", "lists no case"),
        ])
    func broken(cases: (text: String, message: String)) throws {
        let error = #expect(throws: YAMLError.self) { try run("cases:\n  \(cases.text)\n") }
        #expect(error?.message.contains(cases.message) == true, "\(error?.description ?? "")")
        #expect(error?.mark.line == 2)
    }
}
