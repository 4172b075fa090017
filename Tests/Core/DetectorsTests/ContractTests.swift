import Testing
import Text

@testable import Detectors

/// What every detector must do, whatever its method.
@Suite("Every detector keeps the contract")
struct ContractTests {
    /// Small parameters where the defaults are made for more than a few hundred rows.
    static func parameters(_ kind: DetectorKind) -> [String: ParameterValue] {
        switch kind {
        case .isolationForest: ["trees": .integer(60)]
        case .randomCutForest: ["trees": .integer(12), "sample_size": .integer(64)]
        case .conformalNeighbours: ["span": .integer(150), "shingle": .integer(10), "neighbours": .integer(10)]
        case .ensemble: ["profile": .text("scattered")]
        default: [:]
        }
    }

    /// A detector at the end of the whole chain, as the services use it.
    static func fit(_ kind: DetectorKind, _ data: FeatureMatrix, progress: FitProgress = { _ in }) throws -> TrainedModel {
        try TrainedModel.fit(data, plan: Sample.plan(kind, parameters: parameters(kind)), progress: progress)
    }

    /// One model of each kind for all tests that only look.
    static let models: [DetectorKind: TrainedModel] = Dictionary(
        uniqueKeysWithValues: DetectorKind.allCases.compactMap { kind in
            (try? fit(kind, Sample.normal(rows: 500))).map { (kind, $0) }
        })

    static func model(_ kind: DetectorKind) throws -> TrainedModel { try #require(models[kind]) }

    @Test("planted anomalies score above normal rows", arguments: DetectorKind.allCases)
    func findsPlanted(_ kind: DetectorKind) throws {
        var scorer = ModelScorer(try Self.model(kind))
        let planted = Sample.planted(rows: 400, shift: 10)
        let auc = DetectionMetrics.rocAUC(scores: scorer.scores(planted.data), labels: planted.culprits.map { $0 >= 0 })
        #expect(auc > 0.85)
    }

    @Test("the planted culprit is named first, with the right sign", arguments: DetectorKind.allCases)
    func namesTheCulprit(_ kind: DetectorKind) throws {
        let model = try Self.model(kind)
        let planted = Sample.planted(rows: 300)
        var named = 0
        var total = 0
        for (row, culprit) in planted.culprits.enumerated() where culprit >= 0 {
            let explanation = model.explain(planted.data.row(row))
            total += 1
            guard explanation.ranked().first == culprit else { continue }
            if explanation.contributions[culprit].sign == (planted.signs[row] < 0 ? .minus : .plus) { named += 1 }
        }
        #expect(Double(named) >= 0.95 * Double(total), "\(named) of \(total)")
    }

    @Test("contributions sum to one in absolute value and expected values are finite", arguments: DetectorKind.allCases)
    func explanationIsWhole(_ kind: DetectorKind) throws {
        let model = try Self.model(kind)
        let planted = Sample.planted(rows: 60)
        for row in 0..<planted.data.rows {
            let explanation = model.explain(planted.data.row(row))
            #expect(abs(explanation.contributions.reduce(0) { $0 + abs($1) } - 1) < 1e-9)
            #expect(explanation.expected.allSatisfy { $0.isFinite })
        }
    }

    @Test("the same seed gives the same scores", arguments: DetectorKind.allCases)
    func isReproducible(_ kind: DetectorKind) throws {
        var first = ModelScorer(try Self.model(kind))
        var second = ModelScorer(try Self.fit(kind, Sample.normal(rows: 500)))
        let data = Sample.planted(rows: 60).data
        #expect(first.scores(data) == second.scores(data))
    }

    @Test("a stored model scores the same after loading", arguments: DetectorKind.allCases)
    func roundTrips(_ kind: DetectorKind) throws {
        let model = try Self.model(kind)
        let bytes = model.encoded()
        let loaded = try TrainedModel(decoding: bytes)
        #expect(loaded.encoded() == bytes)
        #expect(loaded.metadata == model.metadata)
        #expect(loaded.threshold == model.threshold)
        var first = ModelScorer(model)
        var second = ModelScorer(loaded)
        let data = Sample.planted(rows: 60).data
        #expect(first.scores(data) == second.scores(data))
    }

    @Test("truncated and altered bytes are refused, never trapped on", arguments: DetectorKind.allCases)
    func refusesDamage(_ kind: DetectorKind) throws {
        let bytes = try Self.fit(kind, Sample.normal(rows: 60)).encoded()
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 20)) {
            #expect(throws: DetectorError.self) { try TrainedModel(decoding: Array(bytes[..<length])) }
        }
        // With a checksum made right again, the layout itself must hold the line: any outcome but a trap.
        var random = SplitMix64(seed: 5)
        for _ in 0..<25 {
            var altered = bytes
            for _ in 0..<3 { altered[12 + random.below(bytes.count - 16)] = UInt8(truncatingIfNeeded: random.next()) }
            var tail = StateWriter()
            tail.write(crc32(altered[..<(altered.count - 4)]))
            altered.replaceSubrange(altered.count - 4..<altered.count, with: tail.bytes)
            if let model = try? TrainedModel(decoding: altered), model.featureNames.count == 5 {
                var scorer = ModelScorer(model)
                _ = scorer.score([1, 2, 3, 4, 5])
            }
        }
    }

    @Test("constant, near-constant and empty features do no harm", arguments: DetectorKind.allCases)
    func toleratesConstants(_ kind: DetectorKind) throws {
        var random = SplitMix64(seed: 3)
        var data = FeatureMatrix(columns: 5)
        for row in 0..<200 { data.append([7, 0, row == 3 ? 1 : 0, .nan, random.normal()]) }
        let model = try Self.fit(kind, data)
        var scorer = ModelScorer(model)
        let scores = scorer.scores(data)
        #expect(scores.allSatisfy { $0 >= 0 && $0 <= 1 })
        #expect(scorer.score([7, 0, 0, .nan, 9]).score > scorer.score([7, 0, 0, .nan, 0]).score)
        #expect(model.explain([7, 0, 0, .nan, 9]).ranked().first == 4)
    }

    @Test("missing and infinite values are imputed: the score is a number", arguments: DetectorKind.allCases)
    func toleratesMissing(_ kind: DetectorKind) throws {
        var scorer = ModelScorer(try Self.model(kind))
        for value in [Double.nan, .infinity, -.infinity, 1e308, -1e308] {
            for column in 0..<5 {
                var row: [Double] = [10, 20, 30, 40, 50]
                row[column] = value
                let score = scorer.score(row).score
                #expect(score >= 0 && score <= 1)
            }
        }
        #expect(scorer.score([Double](repeating: .nan, count: 5)).score < 0.9)
    }

    @Test("a batch scores as its rows one by one", arguments: DetectorKind.allCases)
    func batchEqualsSingle(_ kind: DetectorKind) throws {
        var scorer = ModelScorer(try Self.model(kind))
        let data = Sample.planted(rows: 100).data
        let batch = scorer.scores(data)
        for row in stride(from: 0, to: data.rows, by: 7) {
            #expect(abs(scorer.score(data.row(row)).score - batch[row]) < 1e-9)
        }
    }

    @Test("several threads may score with the same model", arguments: DetectorKind.allCases)
    func isThreadSafe(_ kind: DetectorKind) async throws {
        let model = try Self.model(kind)
        let data = Sample.planted(rows: 100).data
        var scorer = ModelScorer(model)
        let alone = scorer.scores(data)
        await withTaskGroup(of: [Double].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var own = ModelScorer(model)
                    return own.scores(data)
                }
            }
            for await scores in group { #expect(scores == alone) }
        }
    }

    @Test("too few rows are an error, not a crash", arguments: DetectorKind.allCases)
    func refusesTooFew(_ kind: DetectorKind) throws {
        #expect(throws: DetectorError.self) { try TrainedModel.fit(FeatureMatrix(columns: 5), plan: Sample.plan(kind)) }
        #expect(throws: DetectorError.self) { try TrainedModel.fit(Sample.normal(rows: 1), plan: Sample.plan(kind)) }
        // A handful is either a model or an error.
        for rows in [2, 3, 5, 8, 11, 19, 24] { _ = try? Self.fit(kind, Sample.normal(rows: rows)) }
    }

    @Test("progress rises to one", arguments: DetectorKind.allCases)
    func reportsProgress(_ kind: DetectorKind) throws {
        var shares: [Double] = []
        _ = try Self.fit(kind, Sample.normal(rows: 100)) { shares.append($0) }
        #expect(shares.last == 1)
        #expect(zip(shares, shares.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test("every kind is registered under its own name and documents itself", arguments: DetectorKind.allCases)
    func isRegistered(_ kind: DetectorKind) throws {
        #expect(kind.type.kind == kind)
        #expect(try DetectorKind(named: kind.rawValue) == kind)
        #expect(!kind.card.assumptions.isEmpty && !kind.card.cost.isEmpty && !kind.card.source.isEmpty)
        for spec in kind.parameterSpecs { #expect(spec.accept(spec.fallback) == spec.fallback, "\(spec.name)") }
    }

    @Test("a stored state goes on as if it had never been stored", arguments: DetectorKind.allCases.filter(\.isStreaming))
    func stateGoesOn(_ kind: DetectorKind) throws {
        let model = try Self.model(kind)
        let data = Sample.planted(rows: 80).data
        var scorer = ModelScorer(model)
        var state = model.makeState()
        for row in 0..<40 { _ = scorer.score(data.row(row), time: Int64(row) * 1000, state: &state) }
        var restored = try DetectorState(decoding: state.encoded())
        var second = ModelScorer(try TrainedModel(decoding: model.encoded()))
        for row in 40..<80 {
            let first = scorer.score(data.row(row), time: Int64(row) * 1000, state: &state)
            let again = second.score(data.row(row), time: Int64(row) * 1000, state: &restored)
            #expect(first == again)
        }
        #expect(state == restored)
    }

    @Test("a foreign state is replaced, not misread", arguments: DetectorKind.allCases.filter(\.isStreaming))
    func foreignState(_ kind: DetectorKind) throws {
        var scorer = ModelScorer(try Self.model(kind))
        for foreign in [DetectorState(), DetectorState(numbers: [1, 2, 3], integers: [-5, 7, 9])] {
            var state = foreign
            let score = scorer.score([10, 20, 30, 40, 50], time: 0, state: &state).score
            #expect(score >= 0 && score <= 1)
        }
    }
}
