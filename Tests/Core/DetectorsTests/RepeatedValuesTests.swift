import Testing
import Text

@testable import Detectors

/// Constants, counters, plateaus and on/off loads are ordinary telemetry.
@Suite("What was learnt as normal stays normal, and what was never near it does not")
struct RepeatedValuesTests {
    /// One kind of telemetry: a seeded source of rows.
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case constant, discrete, bimodal, zeroInflated, heavyTailed
        var testDescription: String { rawValue }

        func value(_ random: inout SplitMix64) -> Double {
            switch self {
            case .constant: return 5
            case .discrete:
                var count = 0.0
                while random.unit() < 0.5 { count += 1 }
                return count
            case .bimodal: return random.unit() < 0.5 ? 1 + 9 * random.unit() : 0
            case .zeroInflated: return random.unit() < 0.03 ? -logarithm(1 - random.unit()) : 0
            // Student's t with two degrees of freedom.
            case .heavyTailed: return random.normal() / (-logarithm(1 - random.unit())).squareRoot()
            }
        }

        func rows(_ count: Int, columns: Int = 2, seed: UInt64) -> FeatureMatrix {
            var random = SplitMix64(seed: seed)
            var data = FeatureMatrix(columns: columns)
            for _ in 0..<count { data.append((0..<columns).map { _ in value(&random) }) }
            return data
        }
    }

    /// The flags of new rows, as `trainer score` gives them.
    static func flags(_ kind: DetectorKind, _ training: FeatureMatrix, _ new: FeatureMatrix, share: Double = 0.01) throws -> [Bool] {
        let train = ScoringTable(matrix: training, times: (0..<Int64(training.rows)).map { $0 })
        let test = ScoringTable(matrix: new, times: (0..<Int64(new.rows)).map { $0 + Int64(training.rows) })
        let plan = try TrainingPlan(
            detector: kind, featureNames: Sample.names(training.columns), threshold: .contamination(share), scaling: .robust, createdAt: 0)
        return try FileScorer.score(train: train, test: test, plan: plan).flags
    }

    @Test(
        "from 200 rows on the promised share of new rows of the same kind alerts, or fewer", arguments: DetectorKind.allCases, Kind.allCases)
    func contaminationHolds(_ detector: DetectorKind, _ kind: Kind) throws {
        // Rows that one score looks at: scores of windows that overlap are fewer than they seem.
        let overlap: Double = [.kmeans, .conformalNeighbours, .spectralResidual].contains(detector) ? 19 : 1
        for (rows, share) in [(200, 0.05), (600, 0.02)] {
            let flags = try Self.flags(detector, kind.rows(rows, columns: 1, seed: 11), kind.rows(400, columns: 1, seed: 12), share: share)
            // Four standard errors of a share that a quarter of the rows calibrated.
            let error = 4 * (share * (1 - share) * overlap * (4 / Double(rows) + 1 / 400)).squareRoot()
            let observed = Double(flags.count { $0 }) / 400
            #expect(observed <= share + error, "\(observed) of \(rows)")
        }
    }

    @Test("equal rows are normal whatever their number", arguments: [20, 50, 100, 150, 199, 200, 250, 256, 300, 330, 342, 400])
    func equalRows(_ count: Int) throws {
        for kind in [DetectorKind.isolationForest, .ensemble, .lof, .robustZ, .halfSpaceTrees] {
            let rows = Kind.constant.rows(count, columns: 1, seed: 1)
            #expect(try Self.flags(kind, rows, rows).allSatisfy { !$0 }, "\(kind)")
        }
    }

    @Test("below 200 rows no learnt row alerts", arguments: [DetectorKind.isolationForest, .lof, .ocsvm, .robustZ, .pca, .ensemble], Kind.allCases)
    func fewRows(_ detector: DetectorKind, _ kind: Kind) throws {
        for count in [30, 100, 199] {
            let rows = kind.rows(count, seed: 5)
            let model = try TrainedModel.fit(rows, plan: Sample.plan(detector, columns: 2, threshold: .contamination(0.05)))
            var scorer = ModelScorer(model)
            #expect(rows.values.indices.filter { $0 % 2 == 0 }.allSatisfy { !scorer.score([rows.values[$0], rows.values[$0 + 1]]).isAnomaly })
            #expect(model.metadata.caution?.contains("\(count) training rows") == true)
            let again = try TrainedModel(decoding: model.encoded())
            var other = ModelScorer(again)
            #expect(other.scores(rows) == scorer.scores(rows))
        }
    }

    @Test("a mostly-zero counter: zero is normal and forty is not", arguments: [100, 200])
    func mostlyZero(_ count: Int) throws {
        let rows = FeatureMatrix(values: (1...count).map { $0 % 33 == 0 ? 1 : 0 }, columns: 1)
        for kind in [DetectorKind.isolationForest, .ensemble, .lof, .robustZ] {
            let flags = try Self.flags(kind, rows, FeatureMatrix(values: [Double](repeating: 0, count: 20) + [40], columns: 1))
            #expect(flags == [Bool](repeating: false, count: 20) + [true], "\(kind)")
        }
    }

    @Test("a value more than ten widths outside of what was seen alerts, and is the first reason", arguments: DetectorKind.allCases)
    func farValues(_ detector: DetectorKind) throws {
        let model = try TrainedModel.fit(Sample.normal(rows: 500), plan: Sample.plan(detector, parameters: ContractTests.parameters(detector)))
        var scorer = ModelScorer(model)
        for column in 0..<5 {
            for far in [1e4, -1e4, 1e300] {
                var row: [Double] = [10, 20, 30, 40, 50]
                row[column] = far
                #expect(scorer.score(row).isAnomaly, "\(column) \(far)")
                let explanation = model.explain(row)
                #expect(explanation.ranked().first == column)
                #expect((explanation.contributions[column] > 0) == (far > 0))
            }
        }
    }

    @Test("any other value of a constant feature alerts", arguments: DetectorKind.allCases)
    func constants(_ detector: DetectorKind) throws {
        var data = Sample.normal(rows: 400)
        for row in 0..<400 { data[row, 2] = 0.1 }
        let model = try TrainedModel.fit(data, plan: Sample.plan(detector, parameters: ContractTests.parameters(detector)))
        var scorer = ModelScorer(model)
        #expect(!scorer.score([10, 20, 0.1, 40, 50]).isAnomaly)
        #expect(scorer.score([10, 20, 0.11, 40, 50]).isAnomaly)
        #expect(!scorer.score([10, 20, .nan, 40, 50]).isAnomaly)
    }

    @Test("a policy that hides a deviation hides it from the reach too")
    func policies() throws {
        let plan = try Sample.plan(.isolationForest, policies: [FeaturePolicy(feature: "f1", direction: .down)])
        var scorer = ModelScorer(try TrainedModel.fit(Sample.normal(rows: 500), plan: plan))
        #expect(!scorer.score([10, 1e5, 30, 40, 50]).isAnomaly)
        #expect(scorer.score([10, -1e5, 30, 40, 50]).isAnomaly)
    }

    @Test("scores that many rows share are as likely as the rows are many, in the tail too")
    func tailTies() {
        // 92 in a hundred score 0, six 1, two 2.
        let raw = (0..<1000).map { $0 % 50 == 0 ? 2.0 : $0 % 50 < 4 ? 1.0 : 0.0 }
        let calibration = Calibration(heldBack: raw)
        #expect(abs(calibration.pValue(1) - 0.08) < 0.002)
        #expect(abs(calibration.pValue(2) - 0.02) < 0.002)
        #expect(abs(calibration.pValue(2 + 1e-12) - 0.02) < 0.002)
        #expect(calibration.pValue(4) < 0.02)
    }
}
