import Testing

@testable import Detectors

@Suite("Parameters are checked by name, type and range")
struct ParameterTests {
    @Test("an unknown name gets a hint")
    func unknownName() {
        #expect { try DetectorParameters(for: .isolationForest, given: ["tree": .integer(5)]) } throws: { error in
            "\(error)".contains("`tree`") && "\(error)".contains("did you mean `trees`?")
        }
    }

    @Test("a wrong type or range names the parameter and what it takes")
    func wrongValue() {
        for value in [ParameterValue.text("many"), .integer(0), .number(1.5), .flag(true)] {
            #expect { try DetectorParameters(for: .isolationForest, given: ["trees": value]) } throws: { error in
                "\(error)".contains("`trees`") && "\(error)".contains("whole number from 1")
            }
        }
    }

    @Test("a whole number given as a number is taken")
    func wholeNumber() throws {
        #expect(try DetectorParameters(for: .isolationForest, given: ["trees": .number(50)]).integer("trees") == 50)
    }

    @Test("an unknown detector gets a hint")
    func unknownDetector() {
        #expect { try DetectorKind(named: "isolation_forest") } throws: { "\($0)".contains("did you mean `isolation-forest`?") }
        #expect { try DetectorKind(named: "zzz") } throws: { "\($0)".contains("isolation-forest") }
    }
}

@Suite("Policies say which deviations count")
struct PolicyTests {
    static func scorer(_ policy: FeaturePolicy) throws -> ModelScorer {
        ModelScorer(try TrainedModel.fit(Sample.normal(rows: 1500), plan: Sample.plan(.isolationForest, policies: [policy])))
    }

    @Test("a direction silences the other side")
    func direction() throws {
        var up = try Self.scorer(FeaturePolicy(feature: "f2", direction: .up))
        let middle = up.score([10, 20, 30, 40, 50]).score
        #expect(up.score([10, 20, 90, 40, 50]).score > middle)
        #expect(up.score([10, 20, -90, 40, 50]).score == up.score([10, 20, .nan, 40, 50]).score)
    }

    @Test("small deviations count for nothing")
    func minimum() throws {
        var wide = try Self.scorer(FeaturePolicy(feature: "f2", minimumAbsolute: 100))
        let middle = wide.score([10, 20, .nan, 40, 50]).score
        #expect(wide.score([10, 20, 90, 40, 50]).score == middle)
        #expect(wide.score([10, 20, 190, 40, 50]).score > middle)
    }

    @Test("a value outside its valid range is anomalous whatever the rest")
    func validRange() throws {
        var ranged = try Self.scorer(FeaturePolicy(feature: "f2", validRange: 0...31))
        #expect(ranged.score([10, 20, 31.5, 40, 50]) == (1, true))
        #expect(ranged.score([10, 20, 30, 40, 50]).score < 1)
    }

    @Test("a policy for no feature is refused by name")
    func unknownFeature() {
        #expect { try Self.scorer(FeaturePolicy(feature: "f9")) } throws: { "\($0)".contains("`f9`") }
    }
}
