import Testing
import Text

@testable import Detectors

@Suite("Calibration turns raw scores into p-values and scores")
struct CalibrationTests {
    static func exponential(_ count: Int, seed: UInt64) -> [Double] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in -logarithm(1 - random.unit()) }
    }

    @Test("p-values of normal rows are right in the body and in the tail", arguments: [0.5, 0.2, 0.05, 0.01, 0.002])
    func pValuesHold(_ share: Double) {
        let calibration = Calibration(heldBack: Self.exponential(5000, seed: 1))
        let fresh = Self.exponential(40_000, seed: 2)
        let observed = Double(fresh.count { calibration.pValue($0) <= share }) / Double(fresh.count)
        #expect(abs(observed - share) < 0.25 * share + 0.0005, "\(observed)")
    }

    @Test("the tail reaches beyond the held-back rows without saturating")
    func doesNotSaturate() {
        for raw in [
            Self.exponential(500, seed: 3), Self.exponential(500, seed: 3).map { $0 * $0 * $0 }, (0..<500).map { Double($0) / 500 },
        ] {
            let calibration = Calibration(heldBack: raw)
            let top = raw.max() ?? 0
            let far = (0...60).map { calibration.score(top * (1 + Double($0))) }
            #expect(zip(far, far.dropFirst()).allSatisfy { $0 < $1 })
            #expect(far.allSatisfy { $0 < 1 })
        }
    }

    @Test("the score rises strictly with the raw score everywhere")
    func isMonotone() {
        let raw = Self.exponential(300, seed: 4)
        let calibration = Calibration(heldBack: raw)
        let probes = (-500...3000).map { Double($0) / 100 }
        let scores = probes.map(calibration.score)
        #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 < $1 })
        #expect(scores.allSatisfy { $0 >= 0 && $0 < 1 })
    }

    @Test("score and p-value are two scales of one thing", arguments: [1, 0.5, 0.1, 0.01, 1e-3, 1e-6, 1e-12, 1e-30])
    func scalesAgree(_ p: Double) {
        let back = Calibration.pValue(score: Calibration.score(pValue: p))
        #expect(abs(back - p) <= 1e-6 * p)
    }

    @Test("the documented values of the scale hold")
    func documentedValues() {
        #expect(Calibration.score(pValue: 1) == 0)
        #expect(abs(Calibration.score(pValue: 0.1) - 0.75) < 1e-12)
        #expect(abs(Calibration.score(pValue: 0.01) - 0.8889) < 1e-4)
        #expect(abs(Calibration.score(pValue: 0.001) - 0.9375) < 1e-12)
    }

    @Test("few, equal or absent held-back scores still make a usable calibration")
    func degenerate() {
        for raw in [[], [1], [2, 2, 2, 2], [0, 0, 0, 0, 0, 5], [1, 2, 3], [Double.nan, 1, 2]] as [[Double]] {
            let calibration = Calibration(heldBack: raw)
            let scores = [-1e9, -1, 0, 1, 2, 3, 10, 1e9].map(calibration.score)
            #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 <= $1 })
            #expect(scores.allSatisfy { $0 >= 0 && $0 <= 1 })
        }
    }

    @Test("a score that most held-back rows share surprises nobody; the first one above it does")
    func commonScore() {
        for (common, others) in [(0.0, [] as [Double]), (0, [3, 4, 5]), (1.5, [0, 0.5, 2, 9])] {
            let calibration = Calibration(heldBack: Array(repeating: common, count: 2_000) + others)
            #expect(calibration.pValue(common) > 0.9)
            #expect(calibration.pValue(common + 1e-13) > 0.9)
            #expect(calibration.pValue(common + 1) < 0.01)
        }
    }

    @Test("one threshold is stated as score, share and false alerts a day")
    func thresholds() throws {
        let threshold = try Threshold(.falseAlerts(perEntityPerDay: 2), eventsPerEntityPerDay: 86_400)
        #expect(abs(threshold.probability - 2 / 86_400) < 1e-12)
        #expect(threshold.falseAlertsPerEntityPerDay == 2)
        let contamination = try Threshold(.contamination(0.01), eventsPerEntityPerDay: 1000)
        #expect(abs((contamination.falseAlertsPerEntityPerDay ?? 0) - 10) < 1e-9)
        let cut = try Threshold(.score(0.9375))
        #expect(abs(cut.probability - 0.001) < 1e-9)
        #expect(throws: DetectorError.self) { try Threshold(.falseAlerts(perEntityPerDay: 2)) }
        #expect(throws: DetectorError.self) { try Threshold(.contamination(0.7)) }
        #expect(throws: DetectorError.self) { try Threshold(.score(2)) }
    }

    @Test("a threshold by contamination alerts on that share of new normal rows", arguments: [0.05, 0.01])
    func contaminationHolds(_ share: Double) throws {
        let model = try TrainedModel.fit(
            Sample.normal(rows: 8000), plan: Sample.plan(.isolationForest, threshold: .contamination(share)))
        var scorer = ModelScorer(model)
        var scores: [Double] = []
        var flags: [Bool] = []
        let fresh = Sample.normal(rows: 20_000, seed: 99)
        scorer.score(fresh.values, scores: &scores, flags: &flags)
        let observed = Double(flags.count { $0 }) / Double(flags.count)
        #expect(observed > share * 0.6 && observed < share * 1.6, "\(observed)")
    }
}
