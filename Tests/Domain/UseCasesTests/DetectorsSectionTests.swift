import Detectors
import Testing
import UseCases

@Suite("detectors and policies")
struct DetectorsSectionTests {
    /// The sound definition with a second feature set and other lines about detectors.
    private static func text(_ lines: String) -> String {
        replacing("detector: { name: isolation-forest, trees: 50, features: [value, long] }", lines)
            .replacingFirst("source:\n", "  minute:\n    window: { length: 60s }\n    peak: max(value)\nsource:\n")
    }

    @Test("a feature set may have a detector of its own; the others have the general one")
    func perSet() throws {
        let useCase = try UseCase.parse(
            Self.text("detector: { name: isolation-forest }\ndetectors:\n  minute: { name: ewma, half_life: 20 }"), file: "u.yaml")
        let kinds = useCase.plan.sets.map { useCase.detector(of: $0).kind }
        #expect(kinds == [.isolationForest, .ewma])
        #expect(useCase.detector(of: useCase.plan.sets[1]).parameters.number("half_life") == 20)
        let all = try UseCase.parse(Self.text("detectors:\n  reading: { name: lof }\n  minute: { name: ewma }"), file: "u.yaml")
        #expect(all.plan.sets.map { all.detector(of: $0).kind } == [.lof, .ewma])
        #expect(all.detector.kind == .lof)
    }

    @Test("policies belong to the features that a set's detector sees")
    func policies() throws {
        let useCase = try UseCase.parse(
            Self.text(
                """
                detector: { name: isolation-forest, features: [value, long] }
                policies:
                  value: { direction: up, minimum_absolute: 2, minimum_relative: 0.1, valid_range: [0, 99] }
                  double_value: { direction: down }
                  peak: { valid_range: [-1, 100] }
                """), file: "u.yaml")
        let reading = useCase.policies(of: useCase.plan.sets[0])
        #expect(
            reading == [FeaturePolicy(feature: "value", direction: .up, minimumAbsolute: 2, minimumRelative: 0.1, validRange: 0...99)])
        #expect(useCase.policies(of: useCase.plan.sets[1]).map(\.feature) == ["peak"])
    }

    @Test(
        "a mistake is said with its place",
        arguments: [
            (
                "detectors: { readin: { name: lof } }",
                "28:14: `detectors` is about feature sets, and there is no set `readin`; did you mean `reading`?"
            ),
            (
                "detectors: { minute: { name: lof } }",
                "28:1: The feature set `reading` has no detector: give it one here, or a `detector` for all others."
            ),
            ("detectors: { minute: { name: lof, features: [value] } }", "28:46: There is no feature `value`; declare it under `features`."),
            ("detector: { name: lof }\npolicies: { valu: { direction: up } }", "29:13: There is no feature `valu`; did you mean `value`?"),
            (
                "detector: { name: lof }\npolicies: { value: { direction: upp } }",
                "29:33: `direction` does not know `upp`; did you mean `up`?"
            ),
            (
                "detector: { name: lof }\npolicies: { value: {} }",
                "29:20: A policy wants at least one of direction, minimum_absolute, minimum_relative, valid_range."
            ),
            (
                "detector: { name: lof }\npolicies: { value: { valid_range: [3] } }",
                "29:35: `valid_range` wants two numbers: [lowest, highest]."
            ),
            (
                "detector: { name: lof }\npolicies: { value: { valid_range: [3, 1] } }",
                "29:39: The highest valid value must not be below the lowest."
            ),
        ])
    func mistakes(_ lines: String, _ message: String) {
        let error = #expect(throws: UseCaseError.self) { try UseCase.parse(Self.text(lines), file: "u.yaml") }
        #expect(error?.description == "u.yaml:" + message)
    }
}

extension String {
    fileprivate func replacingFirst(_ old: String, _ new: String) -> String {
        var rest = self[...]
        var result = ""
        while !rest.isEmpty {
            if rest.hasPrefix(old) { return result + new + rest.dropFirst(old.count) }
            result.append(rest.removeFirst())
        }
        return result
    }
}
