import Testing

@testable import Detectors

@Suite("Isolation forest")
struct IsolationForestTests {
    @Test("the fast walk agrees with a plain reference on the same trees")
    func agreesWithReference() throws {
        let data = Preprocessing.scaled(Sample.normal(rows: 700, columns: 3))
        for (trees, size) in [(100, 256), (13, 64), (3, 5), (8, 2)] {
            let forest = try IsolationForest.fit(
                data, order: nil,
                parameters: DetectorParameters(for: .isolationForest, given: ["trees": .integer(trees), "sample_size": .integer(size)]),
                seed: 9
            ) { _ in }
            #expect(forest.trees == trees)
            let fast = forest.score(data)
            for row in 0..<data.rows {
                #expect(abs(fast[row] - Self.reference(forest, data.row(row))) < 1e-6)
            }
        }
    }

    /// Recursive descent in double precision on rows rounded to Float, as the documentation states it.
    static func reference(_ forest: IsolationForest, _ row: [Double]) -> Double {
        let slots = 1 << forest.height
        var sum = 0.0
        for tree in 0..<forest.trees {
            var node = 1
            while node < slots {
                let word = forest.cuts[tree * slots + node]
                let value = Float(row[Int(word & 0xFFFF_FFFF)])
                node = IsolationForest.key(value) >= UInt32(word >> 32) ? 2 * node + 1 : 2 * node
            }
            sum += Double(forest.leaves[tree * slots + node - slots])
        }
        return exponential2(-sum / Double(forest.trees) / forest.normalizer)
    }

    @Test("keys order as the numbers do, and both zeros are one")
    func keysOrder() {
        let values: [Float] = [-.infinity, -3e38, -1, -1e-30, 0, 1e-30, 1, 3e38, .infinity]
        let keys = values.map(IsolationForest.key)
        #expect(zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 })
        #expect(IsolationForest.key(-0.0) == IsolationForest.key(0))
    }

    @Test("the average path length is that of the paper")
    func pathLength() {
        #expect(averagePathLength(1) == 0)
        #expect(averagePathLength(2) == 1)
        #expect(abs(averagePathLength(256) - 10.2448) < 1e-3)
    }

    @Test("a row inside the cloud scores near a half, a far one clearly above")
    func scoresMeanWhatThePaperSays() throws {
        let data = Preprocessing.scaled(Sample.normal(rows: 2000, columns: 2))
        let forest = try IsolationForest.fit(data, order: nil, parameters: DetectorParameters(defaultsOf: .isolationForest), seed: 1) { _ in
        }
        let scores = forest.score(FeatureMatrix(rows: [[0, 0], [8, -8]]))
        #expect(scores[0] < 0.5)
        #expect(scores[1] > 0.7)
    }
}

extension Preprocessing {
    static func scaled(_ data: FeatureMatrix) -> FeatureMatrix {
        guard let preprocessing = try? Preprocessing(data, featureNames: Sample.names(data.columns), scaling: .robust) else { return data }
        return preprocessing.apply(data)
    }
}
