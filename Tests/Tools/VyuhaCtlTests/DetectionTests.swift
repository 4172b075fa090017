import Testing

@testable import VyuhaCtl

@Suite("Detection figures")
struct DetectionTests {
    private struct Row {
        var score: Double?
        var flagged = false
        var anomaly = false
        var ignore = false
        var field = Double.nan
    }

    private func account(_ rows: [Row]) -> FlowAccount {
        var account = FlowAccount(startedAt: 0)
        for (index, row) in rows.enumerated() {
            let id = IdentityHash.of("row:\(index)")
            account.event(id, producedAt: 0, field: row.field)
            if let score = row.score {
                account.feature(id)
                account.score(id, score: score, isAnomaly: row.flagged, arrival: 1)
            } else {
                account.deadLetter(id)
            }
            if row.anomaly || row.ignore { account.label(id, isAnomaly: row.anomaly, ignore: row.ignore) }
        }
        return account
    }

    @Test("are those of the confusion table, joined by id")
    func confusion() {
        let detection = Detection(
            account([
                Row(score: 0.99, flagged: true, anomaly: true), Row(score: 0.98, flagged: true, anomaly: true),
                Row(score: 0.5, anomaly: true),
                Row(score: 0.97, flagged: true), Row(score: 0.2), Row(score: 0.1), Row(score: 0.05),
            ]))
        #expect(detection.labelledAnomalies == 3)
        #expect(detection.judged == 7)
        #expect(detection.precision == 2.0 / 3)
        #expect(detection.recall == 2.0 / 3)
        #expect(detection.falsePositiveRate == 0.25)
        // Ranks 1, 2 and 4 of the seven.
        #expect(detection.averagePrecision.map { abs($0 - (1 + 1 + 0.75) / 3) < 1e-12 } == true)
    }

    @Test("count an anomaly that was dead-lettered as missed, and leave out a normal event that was")
    func deadLetters() {
        let detection = Detection(account([Row(score: 0.99, flagged: true, anomaly: true), Row(anomaly: true), Row(), Row(score: 0.1)]))
        #expect(detection.labelledAnomalies == 2)
        #expect(detection.labelledWithoutScore == 1)
        #expect(detection.judged == 2)
        #expect(detection.recall == 0.5)
        #expect(detection.falsePositiveRate == 0)
    }

    @Test("leave out what the labels say to ignore")
    func ignored() {
        let detection = Detection(
            account([Row(score: 0.9, flagged: true, anomaly: true), Row(score: 0.9, flagged: true, ignore: true), Row(score: 0.1)]))
        #expect(detection.judged == 2)
        #expect(detection.precision == 1)
        #expect(detection.falsePositiveRate == 0)
    }

    @Test("are unknown without labels")
    func unlabelled() {
        let detection = Detection(account([Row(score: 0.9, flagged: true), Row(score: 0.1)]))
        #expect(detection.labelledAnomalies == 0)
        #expect(detection.recall == nil)
        #expect(detection.precision == nil)
        #expect(detection.averagePrecision == nil)
    }

    @Test("the best fixed cut has the highest recall that its false alarms allow")
    func fixedCut() {
        // 100 normal rows at 60...159, anomalies at 100, 150, 170, 180: below 5 % of false alarms the cut is at 156 or above.
        var rows = (60..<160).map { Row(score: 0.1, field: Double($0)) }
        rows += [100, 150, 170, 180].map { Row(score: 0.9, flagged: true, anomaly: true, field: Double($0)) }
        let books = account(rows)
        let cut = FixedCut(books, field: "heart_rate", direction: .up)
        #expect(cut?.recall == 0.5)
        #expect(cut?.cut == 170)
        #expect(cut?.falsePositiveRate == 0)
        let down = FixedCut(books, field: "heart_rate", direction: .down)
        #expect(down?.recall == 0)
        #expect(down?.cut == nil)
    }

    @Test("a fixed cut counts events without the field as not beyond it")
    func missingField() {
        let books = account([
            Row(score: 0.9, anomaly: true), Row(score: 0.9, anomaly: true, field: 9), Row(score: 0.1, field: 1), Row(score: 0.1),
        ])
        let cut = FixedCut(books, field: "x", direction: .up)
        #expect(cut?.recall == 0.5)
        #expect(FixedCut(account([Row(score: 0.1, field: 1)]), field: "x", direction: .up) == nil)
    }
}
