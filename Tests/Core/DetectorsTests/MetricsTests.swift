import Foundation
import Testing

@testable import Detectors

func logarithm(_ value: Double) -> Double { log(value) }
func exponential2(_ value: Double) -> Double { exp2(value) }

@Suite("Metrics count as their definitions say")
struct MetricsTests {
    static let scores = [0.1, 0.4, 0.35, 0.8, 0.8, 0.2]
    static let labels = [false, false, true, true, false, false]

    @Test("ROC-AUC is the share of pairs in the right order, ties half")
    func rocAUC() {
        var pairs = 0.0
        for (i, positive) in Self.labels.enumerated() where positive {
            for (j, other) in Self.labels.enumerated() where !other {
                pairs += Self.scores[i] > Self.scores[j] ? 1 : Self.scores[i] == Self.scores[j] ? 0.5 : 0
            }
        }
        #expect(abs(DetectionMetrics.rocAUC(scores: Self.scores, labels: Self.labels) - pairs / 8) < 1e-12)
        #expect(DetectionMetrics.rocAUC(scores: [1, 2], labels: [false, false]).isNaN)
    }

    @Test("average precision takes equal scores together")
    func averagePrecision() {
        // 0.8: one of two; 0.4: one of three; 0.35: two of four.
        #expect(abs(DetectionMetrics.averagePrecision(scores: Self.scores, labels: Self.labels) - (0.5 * 0.5 + 0.5 * 0.5)) < 1e-12)
    }

    @Test("counts at a threshold")
    func confusion() {
        let result = DetectionMetrics.confusion(scores: Self.scores, labels: Self.labels, threshold: 0.4)
        #expect(result == .init(truePositives: 1, falsePositives: 2, trueNegatives: 2, falseNegatives: 1))
        #expect(abs(result.precision - 1.0 / 3) < 1e-12 && result.recall == 0.5 && abs(result.f1 - 0.4) < 1e-12)
        #expect(result.falsePositiveRate == 0.5)
    }

    @Test("an event is found by any alert inside, with its delay; false alarms are runs")
    func events() {
        let labels = [0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0].map { $0 == 1 }
        let scores = [0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1].map { Double($0) }
        let result = DetectionMetrics.events(scores: scores, labels: labels, threshold: 0.5)
        #expect(result.events == 2 && result.found == 1 && result.medianDelay == 1 && result.falseAlarms == 4)
    }

    @Test("curves start and end where they should")
    func curves() {
        let roc = DetectionMetrics.rocCurve(scores: Self.scores, labels: Self.labels)
        #expect(roc.first?.x == 0 && roc.first?.y == 0 && roc.last?.x == 1 && roc.last?.y == 1)
        #expect(DetectionMetrics.precisionRecallCurve(scores: Self.scores, labels: Self.labels).last?.x == 1)
        let many = DetectionMetrics.rocCurve(scores: (0..<5000).map { Double($0) }, labels: (0..<5000).map { $0 % 3 == 0 }, limit: 100)
        #expect(many.count == 100)
    }
}
