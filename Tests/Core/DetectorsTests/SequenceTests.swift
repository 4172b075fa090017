import Foundation
import Testing
import Text

@testable import Detectors

@Suite("Rows in sequence: context, streams and files")
struct SequenceTests {
    /// Two entities at different levels, with slow noise; from `from` on the second one's first feature drifts away.
    static func table(rows: Int, from: Int = .max, seed: UInt64 = 1) -> (table: ScoringTable, labels: [Bool]) {
        var random = SplitMix64(seed: seed)
        var matrix = FeatureMatrix(columns: 3)
        var times: [Int64] = []
        var entities: [Int32] = []
        var labels: [Bool] = []
        var slow = [[0.0, 0, 0], [0, 0, 0]]
        for row in 0..<rows {
            for entity in 0..<2 {
                for column in 0..<3 { slow[entity][column] = 0.8 * slow[entity][column] + 0.6 * random.normal() }
                var values = slow[entity]
                let isAnomaly = entity == 1 && row >= from
                if isAnomaly { values[0] += min(Double(row - from) * 0.5, 6) }
                matrix.append(values)
                times.append(Int64(row) * 1000)
                entities.append(Int32(entity))
                labels.append(isAnomaly)
            }
        }
        return (ScoringTable(matrix: matrix, times: times, entities: entities), labels)
    }

    @Test("time series are told from shuffled rows by the training rows alone")
    func choosesContext() {
        let series = Self.table(rows: 300).table
        #expect(ContextPlan.choose(series.matrix, order: series.order) != nil)
        #expect(ContextPlan.choose(series.matrix, order: nil) == nil)
        let scattered = Sample.normal(rows: 600)
        #expect(ContextPlan.choose(scattered, order: RowOrder(times: (0..<600).map { Int64($0) })) == nil)
    }

    @Test("the context of a row is that of a plain computation over its past")
    func contextIsRight() throws {
        let table = Self.table(rows: 100).table
        let plan = try #require(ContextPlan.choose(table.matrix, order: table.order))
        let (wide, _) = plan.expand(table.matrix, order: table.order)
        let sequence = table.order.sequences()[1]
        for position in [0, 1, 2, 5, 40, 99] {
            let values = sequence[0...position].map { table.matrix[$0, 2] }
            let row = sequence[position]
            #expect(wide[row, 2] == values.last)
            if plan.halfLife > 0 {
                let weights = values.indices.map { exp2(-Double(position - $0) / plan.halfLife) }
                let mean = zip(values, weights).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
                #expect(abs(wide[row, 5] - mean) < 1e-9)
            }
            let steps = [0] + zip(values.dropFirst(), values).map { abs($0 - $1) }
            #expect(abs(wide[row, 8] - log(median(Array(steps.suffix(10))) + plan.floors[2])) < 1e-9)
            #expect(abs(wide[row, 11] - median(Array(values.suffix(3)))) < 1e-12)
        }
    }

    @Test("the ensemble finds a drift of one entity in a file, row order kept, and names the feature")
    func findsDrift() throws {
        let train = Self.table(rows: 400).table
        let (test, labels) = Self.table(rows: 200, from: 120, seed: 9)
        let plan = try TrainingPlan(detector: .ensemble, featureNames: ["a", "b", "c"], createdAt: 0)
        let result = try FileScorer.score(train: train, test: test, plan: plan)
        #expect(result.scores.count == test.matrix.rows && result.flags.count == test.matrix.rows)
        #expect(DetectionMetrics.rocAUC(scores: result.scores, labels: labels) > 0.9)
        let model = try #require(result.model)
        #expect(model.explain([9, 0, 0], time: 0, state: model.makeState()).ranked().first == 0)
    }

    @Test("scores do not depend on the order of a file's rows, only on time")
    func orderOfRows() throws {
        let train = Self.table(rows: 200).table
        let test = Self.table(rows: 60, seed: 4).table
        let plan = try TrainingPlan(detector: .ensemble, featureNames: ["a", "b", "c"], createdAt: 0)
        let model = try #require(try FileScorer.score(train: train, test: test, plan: plan).model)
        let forward = FileScorer.score(test, with: model)
        let order = Array((0..<test.matrix.rows).reversed())
        let backward = FileScorer.score(
            ScoringTable(
                matrix: test.matrix.selecting(rows: order), times: order.map { test.times[$0] }, entities: order.map { test.entities[$0] }),
            with: model)
        #expect(order.map { forward.scores[$0] } == backward.scores)
    }

    @Test("a stream's score never depends on what comes later", arguments: [DetectorKind.ensemble, .robustZ])
    func neverLooksAhead(_ kind: DetectorKind) throws {
        var random = SplitMix64(seed: 3)
        var matrix = FeatureMatrix(columns: 1)
        for row in 0..<600 { matrix.append([sin(Double(row) / 5) + 0.1 * random.normal() + (row == 500 ? 5 : 0)]) }
        let whole = ScoringTable(matrix: matrix, times: (0..<600).map { Int64($0) })
        // The same probation in rows, so that only the future differs.
        let head = ScoringTable(matrix: matrix.selecting(rows: 0..<540), times: (0..<540).map { Int64($0) })
        let plan = try TrainingPlan(detector: kind, featureNames: ["v"], createdAt: 0)
        let all = try FileScorer.stream(whole, probation: 0.2, plan: plan)
        let part = try FileScorer.stream(head, probation: 120.5 / 540, plan: plan)
        #expect(Array(all.scores[..<540]) == part.scores)
        #expect(all.scores.count == 600)
    }

    @Test("conformal neighbours alert on a strange shape and then keep silent for a while")
    func silence() throws {
        var random = SplitMix64(seed: 8)
        let parameters = try DetectorParameters(for: .conformalNeighbours, given: ["span": .integer(200)])
        let detector = ConformalNeighbours.untrained(columns: 1, parameters: parameters)
        var state = detector.makeState()
        var scratch = ScoringScratch()
        var surprise: [Double] = []
        for row in 0..<700 {
            let value = [sin(Double(row) / 4) + 0.05 * random.normal() + ((500..<505).contains(row) ? 3 : 0)]
            surprise.append(detector.score(value.span, time: 0, state: &state, scratch: &scratch))
            detector.learn(value.span, time: 0, state: &state)
        }
        #expect(surprise[..<199].allSatisfy { $0 == 0 })
        #expect(surprise[500] >= 3)
        #expect(surprise[501..<550].allSatisfy { $0 == ConformalNeighbours.silentSurprise })
    }

    @Test("hours of the week start on Monday, before 1970 too")
    func hours() {
        #expect(Seasonal.hour(of: 0) == 72)
        #expect(Seasonal.hour(of: -1) == 71)
        #expect(Seasonal.hour(of: 4 * 86_400_000) == 0)
        #expect(Seasonal.hour(of: -73 * 3_600_000) == 167)
    }

    @Test("the seasonal detector knows that night is not day")
    func seasonal() throws {
        var random = SplitMix64(seed: 2)
        var matrix = FeatureMatrix(columns: 1)
        let times = (0..<24 * 28).map { Int64($0) * 3_600_000 }
        for hour in times.indices { matrix.append([(hour % 24 < 12 ? 10 : 100) + random.normal()]) }
        let plan = try TrainingPlan(detector: .seasonal, featureNames: ["v"], createdAt: 0)
        let model = try TrainedModel.fit(matrix, order: RowOrder(times: times), plan: plan)
        var scorer = ModelScorer(model)
        var state = model.makeState()
        #expect(scorer.score([100], time: 3 * 3_600_000, state: &state).isAnomaly)
        #expect(!scorer.score([100], time: 15 * 3_600_000, state: &state).isAnomaly)
        #expect(abs(model.explain([100], time: 3 * 3_600_000, state: state).expected[0] - 10) < 3)
    }
}

@Suite("Numerical parts agree with plain references")
struct NumericalTests {
    @Test("the neighbour index finds what a scan finds", arguments: [1, 3, 8, 13, 20])
    func neighbours(_ columns: Int) {
        let data = Sample.normal(rows: 400, columns: columns)
        let index = NeighbourIndex(data)
        var distances = [Float](repeating: 0, count: 7)
        var positions = [Int32](repeating: 0, count: 7)
        for query in 0..<20 {
            let point = Sample.normal(rows: 20, columns: columns, seed: 5).row(query).map { Float($0) }
            let found = point.withUnsafeBufferPointer { point in
                distances.withUnsafeMutableBufferPointer { distances in
                    positions.withUnsafeMutableBufferPointer { positions in
                        guard let a = point.baseAddress, let b = distances.baseAddress, let c = positions.baseAddress else { return 0 }
                        return index.nearest(a, 7, excluding: -1, b, c)
                    }
                }
            }
            let expected = (0..<400).map { row in
                (0..<columns).reduce(Float(0)) { $0 + (Float(data[row, $1]) - point[$1]) * (Float(data[row, $1]) - point[$1]) }
            }.sorted().prefix(7)
            #expect(found == 7)
            for (ours, theirs) in zip(distances, expected) { #expect(abs(ours - theirs) <= 1e-4 * max(theirs, 1)) }
        }
    }

    @Test("eigenvectors rebuild the matrix")
    func eigen() {
        let n = 6
        let (_, matrix) = PrincipalComponents.covariance(Sample.normal(rows: 100, columns: n))
        let eigen = SymmetricEigen(matrix, order: n)
        #expect(zip(eigen.values, eigen.values.dropFirst()).allSatisfy { $0 >= $1 })
        for row in 0..<n {
            for column in 0..<n {
                let rebuilt = (0..<n).reduce(0) { $0 + eigen.values[$1] * eigen.vectors[$1 * n + row] * eigen.vectors[$1 * n + column] }
                #expect(abs(rebuilt - matrix[row * n + column]) < 1e-9)
            }
        }
    }

    @Test("the fast exponential is right to single precision")
    func exponential() {
        for value in stride(from: Float(0), through: -86, by: -0.37) {
            let fast = KernelBlocks.exponential(SIMD8(repeating: value))[3]
            #expect(abs(fast - exp(value)) <= 1e-6 * exp(value))
        }
    }

    @Test("at most a share nu of the training rows lies outside the one-class SVM's border", arguments: [0.05, 0.3])
    func oneClassBorder(_ nu: Double) throws {
        let data = Preprocessing.scaled(Sample.normal(rows: 400, columns: 2))
        let svm = try OneClassSVM.fit(
            data, order: nil, parameters: DetectorParameters(for: .ocsvm, given: ["nu": .number(nu)]), seed: 1
        ) { _ in }
        let outside = Double(svm.score(data).count { $0 > 1e-3 }) / 400
        #expect(outside <= nu + 0.01 && outside >= nu - 0.1 * nu - 0.03)
    }

    @Test("a linear relation that breaks is named with the value that would keep it")
    func brokenRelation() throws {
        var random = SplitMix64(seed: 6)
        var data = FeatureMatrix(columns: 3)
        for _ in 0..<500 {
            let (a, b) = (random.normal(), random.normal())
            data.append([a, b, a + b + 0.01 * random.normal()])
        }
        let model = try TrainedModel.fit(data, plan: Sample.plan(.pca, columns: 3))
        let explanation = model.explain([0.5, 0.5, 1.6])
        #expect(abs(explanation.expected[2] - 1) < 0.02)
        var scorer = ModelScorer(model)
        #expect(scorer.score([0.5, 0.5, 1.6]).isAnomaly && !scorer.score([0.5, 0.5, 1]).isAnomaly)
    }
}
