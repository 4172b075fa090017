import Testing
import Text

@testable import Detectors

/// A slow sine with some noise, and a change where a test wants one.
private func wave(_ rows: Int, seed: UInt64 = 5, _ change: (Int, Double) -> Double = { $1 }) -> [Double] {
    var random = SplitMix64(seed: seed)
    return (0..<rows).map { change($0, approximatelySine($0) + 0.05 * random.normal()) }
}

/// A parabola for each half of a period of forty rows: no library function, the same bits everywhere.
private func approximatelySine(_ row: Int) -> Double {
    let phase = Double(row % 40) / 20
    return phase < 1 ? 4 * phase * (1 - phase) : -4 * (phase - 1) * (2 - phase)
}

private func surprises(_ values: [Double], span: Int, history: Int = 1000) -> [Double] {
    var profile = MatrixProfile(columns: 1, span: span, history: history)
    return values.map { value in
        let row = [value]
        return profile.surprise(row.span)
    }
}

@Suite("Streams against their own past")
struct MatrixProfileTests {
    @Test("the distances are those of the definition, also after rows have moved in their storage")
    func definition() {
        let values = wave(1400, seed: 2)
        var profile = MatrixProfile(columns: 1, span: 400, windows: [8], history: 300)
        let found = values.map { value in
            let row = [value]
            return profile.surprise(row.span)
        }
        // The unit is renewed at rows 1296 and 1424: between them one factor lies between a distance and its surprise.
        let factors = (1300..<1400).map { distance(values, end: $0, length: 8, history: 300) / found[$0] }
        for factor in factors { #expect(abs(factor / factors[0] - 1) < 1e-6) }
    }

    /// The mean distance to the nearest of the windows that may be examples.
    private func distance(_ values: [Double], end: Int, length: Int, history: Int) -> Double {
        func window(_ end: Int) -> [Double] {
            let rows = Array(values[(end - length + 1)...end])
            let mean = rows.reduce(0, +) / Double(length)
            return rows.map { $0 - mean }
        }
        let own = window(end)
        let last = end - Tuning.Stream.adaptAfter - length
        let nearest = (last - history + 1...last).map { example in
            zip(own, window(example)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        }.sorted().prefix(Tuning.Stream.neighbours)
        return nearest.reduce(0, +) / Double(nearest.count)
    }

    @Test("a stretch of another shape inside the seen range stands out, and little else")
    func shape() {
        let values = wave(2000) { (1200..<1240).contains($0) ? 0.3 : $1 }
        let found = surprises(values, span: 450)
        let usual = found[700..<1200].sorted()
        #expect(found[1200..<1240].max() ?? 0 > 2 * usual[usual.count - 1])
        // Once the shock has left the longest window all is as before.
        #expect(found[1400..<2000].sorted()[300] < 1.5)
    }

    @Test("an alert's first row stands above all that begin none, and a lasting new level stops surprising")
    func onset() throws {
        let values = wave(2000) { $0 < 1000 ? $1 : $1 + 6 }
        var members = try StreamEnsemble(columns: 1, span: 450)
        let scores = values.map { value in
            let row = [value]
            return members.score(row.span)
        }
        let begins = Calibration.score(surprise: Tuning.Stream.onset)
        #expect(scores[..<450].allSatisfy { $0 == 0 })
        #expect(scores[1000] >= begins)
        #expect(scores[1001..<1100].allSatisfy { $0 < begins })
        #expect(scores[1500..<2000].sorted()[250] < Calibration.score(surprise: 1.5))
    }

    @Test("what a row scores is the same whatever comes after, through the rows' moves in storage")
    func prefix() {
        let values = wave(2400)
        let head = surprises(Array(values[..<2200]), span: 300, history: 200)
        #expect(Array(surprises(values, span: 300, history: 200)[..<2200]) == head)
        #expect(head.allSatisfy { $0.isFinite })
    }

    @Test("a constant stream scores nothing, and any other value then begins an alert")
    func constant() throws {
        for level in [0.0, 5, -1e6] {
            var members = try StreamEnsemble(columns: 1, span: 150)
            var scores: [Double] = []
            for row in 0..<501 {
                let value = [row == 500 ? level + max(abs(level), 1) * 0.01 : level]
                scores.append(members.score(value.span))
            }
            #expect(scores[..<500].allSatisfy { $0 < Calibration.score(surprise: 2) })
            #expect(scores[500] >= Calibration.score(surprise: Tuning.Stream.onset))
        }
    }

    @Test("the surprise of rows that begin no alert rises without a step and stays below that of an alert")
    func below() {
        let surprises = stride(from: 0.0, to: 100, by: 0.25).map(StreamEnsemble.below)
        #expect(zip(surprises, surprises.dropFirst()).allSatisfy { $0 < $1 && $1 - $0 <= 0.25 + 1e-12 })
        #expect(surprises.allSatisfy { $0 < Tuning.Stream.onset })
    }
}
