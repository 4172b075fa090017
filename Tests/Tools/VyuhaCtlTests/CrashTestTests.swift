import Testing

@testable import VyuhaCtl

@Suite("The plan of a crash test")
struct DisturbancePlanTests {
    @Test("is a function of the seed and disturbs every service")
    func seeded() {
        let plan = DisturbancePlan(seed: 7, count: 20, killsOnly: false)
        #expect(plan == DisturbancePlan(seed: 7, count: 20, killsOnly: false))
        #expect(plan != DisturbancePlan(seed: 8, count: 20, killsOnly: false))
        #expect(plan.steps.map(\.count) == [7, 3, 7, 3])
        for scaled in [plan.steps[0], plan.steps[2]] {
            #expect(scaled.map(\.disturbance) == [.kill, .scaleUp, .scaleUp, .freeze, .kill, .scaleDown, .scaleDown])
        }
        #expect(plan.steps.joined().allSatisfy { (0.3...3).contains($0.pause) && $0.choice >= 0 })
    }

    @Test("the short form kills processor, scorer and writer; in place there are only kills")
    func short() {
        #expect(DisturbancePlan(seed: 1, count: 3, killsOnly: false).steps.map(\.count) == [1, 1, 1, 0])
        #expect(DisturbancePlan(seed: 1, count: 40, killsOnly: true).steps.joined().allSatisfy { $0.disturbance == .kill })
    }
}

@Suite("The verdict of a crash test")
struct VerdictTests {
    private static func effects(_ entries: [(kind: String, id: UInt64, content: UInt64)]) throws -> Effects {
        var effects = try Effects()
        for entry in entries { effects.note(entry.kind, entry.id, entry.content, place: "0@0") }
        return effects
    }

    @Test("repeated records are one effect, unless each raw record counts")
    func repeats() throws {
        let wanted = try Self.effects([("features", 1, 10), ("features", 2, 20)])
        let found = try Self.effects([("features", 1, 10), ("features", 1, 10), ("features", 2, 20)])
        #expect(Verdict(undisturbed: wanted, disturbed: found).isClean)
        #expect(Verdict(undisturbed: wanted, disturbed: found, once: ["features"]).doubled == 1)
        #expect(Verdict(undisturbed: wanted, disturbed: found, once: ["scores"]).isClean)
    }

    @Test("of a window the highest revision is compared, whatever came before it")
    func revisions() throws {
        func effects(_ entries: [(Int64, UInt64)]) throws -> Effects {
            var effects = try Effects()
            for (revision, content) in entries { effects.note("features", 1, content, revision: revision, place: "0@0") }
            return effects
        }
        let wanted = try effects([(0, 60)])
        #expect(Verdict(undisturbed: wanted, disturbed: try effects([(0, 40), (1, 60)]), once: ["features"]).isClean)
        #expect(Verdict(undisturbed: wanted, disturbed: try effects([(0, 40), (1, 60), (0, 40)]), once: ["features"]).isClean)
        #expect(Verdict(undisturbed: wanted, disturbed: try effects([(0, 60), (1, 40)])).different == 1)
        #expect(Verdict(undisturbed: wanted, disturbed: try effects([(1, 60), (1, 60)]), once: ["features"]).doubled == 1)
        #expect(Verdict(undisturbed: wanted, disturbed: try effects([(1, 60), (1, 61)])).different == 1)
    }

    @Test("what is missing, what should not be there, and what says something else are told apart")
    func differences() throws {
        let wanted = try Self.effects([("features", 1, 10), ("features", 2, 20), ("scores", 2, 20), ("redis", 5, 50)])
        let found = try Self.effects([("features", 1, 11), ("features", 3, 30), ("scores", 2, 20), ("scores", 2, 21), ("redis", 5, 50)])
        let verdict = Verdict(undisturbed: wanted, disturbed: found)
        #expect(verdict.lost == 1)
        #expect(verdict.doubled == 1)
        #expect(verdict.different == 2, "another content, and two contents")
        #expect(verdict.examples.count == 4)
    }

    @Test("an entity whose records come in another order is told, and a repetition is none")
    func order() throws {
        func effects(_ ids: [UInt64]) throws -> Effects {
            var effects = try Effects()
            for id in ids { effects.note("scores", id, 1, entity: 7, place: "0@0") }
            effects.note("scores", 99, 1, entity: 8, place: "0@0")
            return effects
        }
        let wanted = try effects([1, 2, 3])
        let repeated = Verdict(undisturbed: wanted, disturbed: try effects([1, 2, 1, 2, 3]))
        #expect(repeated.isClean && repeated.inOrder == 2)
        let swapped = Verdict(undisturbed: wanted, disturbed: try effects([2, 1, 3]))
        #expect(!swapped.isClean && swapped.outOfOrder == 1 && swapped.inOrder == 1)
    }

    @Test("state that a former owner wrote over is lost, whatever the records say")
    func lostState() throws {
        let same = try Self.effects([("features", 1, 10)])
        let verdict = Verdict(undisturbed: same, disturbed: same, lostState: ["state: lost, partition 3"])
        #expect(!verdict.isClean && verdict.lost == 1 && verdict.examples == ["state: lost, partition 3"])
    }

    @Test("a whole kind that is missing is lost")
    func missingKind() throws {
        let wanted = try Self.effects([("alerts", 1, 1), ("alerts", 2, 2)])
        #expect(Verdict(undisturbed: wanted, disturbed: try Effects()).lost == 2)
    }

    @Test("when something was done is no part of what was done")
    func times() {
        func content(_ text: String) -> UInt64 { Effects.content(Array(text.utf8), 0..<text.utf8.count, hasTimes: true) }
        let one = content(#"{"id":"a","scored_at":1763718000123,"score":0.5}"#)
        #expect(one == content(#"{"id":"a","scored_at":9,"score":0.5}"#))
        #expect(one != content(#"{"id":"a","scored_at":9,"score":0.6}"#))
        #expect(content(#"{"t":"\"scored_at\":1"}"#) != content(#"{"t":"\"scored_at\":2"}"#), "a text that looks like the field is compared")
    }
}
