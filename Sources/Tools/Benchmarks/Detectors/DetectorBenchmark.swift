import Detectors
import Glibc
import JSON
import ServiceKit

/// `benchmarks detectors`: the detectors beside scikit-learn, ONNX Runtime and River on the same rows in the same run, one thread each; CPU
/// time. Ours is measured as the scorer uses it, from the raw row to the calibrated score and the flag.
struct DetectorBenchmark {
    private struct Settings {
        let rows: Int
        let repeats: Int
        let python: String?
        let json: String?
        let script: String

        init?(_ reader: inout SettingsReader) {
            rows = reader.integer("--rows", default: 20_000, in: 1_000...1_000_000, "Rows to fit on, and rows to score.")
            repeats = reader.integer("--repeats", default: 3, in: 1...20, "Runs of each measurement; the best is reported, here and there.")
            python = reader.optionalString("--python", "Python with scikit-learn, ONNX Runtime and River; without it the ratios are left out.")
            script = reader.string("--script", default: "services/scripts/bench/detectors.py", "What measures the libraries.")
            json = reader.optionalString("--json", "File for the results as JSON.")
        }
    }

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings("benchmarks detectors", "Detectors beside published libraries.", arguments: arguments, Settings.init)
    }

    func run() throws {
        var generator = Rows(seed: 7)
        let (train, test) = (generator.matrix(settings.rows), generator.matrix(settings.rows))
        let peers = try settings.python.map { try measurePeers($0, train, test) } ?? [:]
        var report = DetectorReport(peers: peers)
        let plans: [(DetectorKind, [String: ParameterValue])] = [
            (.isolationForest, ["trees": .integer(100), "sample_size": .integer(256)]), (.lof, ["neighbours": .integer(20)]),
            (.ocsvm, ["nu": .number(0.01)]),
        ]
        for (kind, given) in plans {
            let parameters = try DetectorParameters(for: kind, given: given)
            // The peers get scaled rows too.
            let scaled = Self.scaled(train)
            let seconds = try best { _ = try kind.type.fit(scaled, order: nil, parameters: parameters, seed: 7) { _ in } }
            report.add("\(kind.rawValue) fit", seconds, .seconds, peer: "\(kind.rawValue) fit", goal: 1)
            let model = try fit(kind, given, train)
            report.add(
                "\(kind.rawValue) batch", batchRate(model, test), .rows, peer: "\(kind.rawValue) batch", goal: kind == .isolationForest ? 2.5 : 1)
            guard kind == .isolationForest else { continue }
            report.add("isolation-forest batch", batchRate(model, test), .rows, peer: "isolation-forest batch, ONNX", goal: nil)
            report.add("isolation-forest single", singleRate(model, test), .rows, peer: "isolation-forest single, ONNX", goal: 4)
        }
        let trees = try fit(.halfSpaceTrees, ["trees": .integer(25), "depth": .integer(8), "window": .integer(250)], train)
        report.add("half-space-trees stream", streamRate(trees, test), .rows, peer: "half-space-trees stream", goal: 20)
        for kind in [DetectorKind.randomCutForest, .ewma, .kmeans] {
            let model = try fit(kind, [:], train)
            report.add("\(kind.rawValue) stream", streamRate(model, test), .rows, peer: nil, goal: nil)
        }
        for kind in [DetectorKind.ensemble, .robustZ, .pca] {
            report.add("\(kind.rawValue) batch", batchRate(try fit(kind, [:], train), test), .rows, peer: nil, goal: nil)
        }
        print(report.table)
        if let path = settings.json { try writeFile(path, report.json) }
    }

    private func fit(_ kind: DetectorKind, _ given: [String: ParameterValue], _ rows: FeatureMatrix) throws -> TrainedModel {
        let order = RowOrder(times: (0..<rows.rows).map { Int64($0) * 1000 })
        let plan = try TrainingPlan(
            detector: kind, parameters: DetectorParameters(for: kind, given: given), featureNames: (0..<rows.columns).map { "f\($0)" }, createdAt: 0)
        return try TrainedModel.fit(rows, order: order, plan: plan)
    }

    private static func scaled(_ rows: FeatureMatrix) -> FeatureMatrix {
        var result = rows
        for column in 0..<rows.columns {
            let values = rows.column(column)
            let mean = values.reduce(0, +) / Double(values.count)
            let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
            for row in 0..<rows.rows { result[row, column] = (values[row] - mean) / deviation }
        }
        return result
    }

    // MARK: Measuring

    /// Least CPU seconds of the runs.
    private func best(_ work: () throws -> Void) rethrows -> Double {
        var least = Double.infinity
        for _ in 0..<settings.repeats {
            let begin = threadSeconds
            try work()
            least = min(least, threadSeconds - begin)
        }
        return least
    }

    private func batchRate(_ model: TrainedModel, _ rows: FeatureMatrix) -> Double {
        var (scorer, scores, flags) = (ModelScorer(model), [Double](), [Bool]())
        scorer.score(rows.values, scores: &scores, flags: &flags)
        return Double(rows.rows) / best { scorer.score(rows.values, scores: &scores, flags: &flags) }
    }

    private func singleRate(_ model: TrainedModel, _ rows: FeatureMatrix) -> Double {
        var scorer = ModelScorer(model)
        let single = (0..<rows.rows).map { rows.row($0) }
        var alerts = 0
        return Double(rows.rows) / best { for row in single where scorer.score(row).isAnomaly { alerts += 1 } }
    }

    /// One after the other with one state, learning on the way, in batches as they come from Kafka.
    private func streamRate(_ model: TrainedModel, _ rows: FeatureMatrix) -> Double {
        var (scorer, scores, flags) = (ModelScorer(model), [Double](), [Bool]())
        let batches = stride(from: 0, to: rows.rows, by: 1_000).map { rows.selecting(rows: $0..<min($0 + 1_000, rows.rows)) }
        let slots = [Int](repeating: 0, count: 1_000)
        return Double(rows.rows)
            / best {
                var states = [model.makeState()]
                for (number, batch) in batches.enumerated() {
                    let times = (0..<batch.rows).map { Int64(number * 1_000 + $0) * 1_000 }
                    scorer.score(
                        batch.values, times: times, slots: Array(slots[..<batch.rows]), states: &states, scores: &scores, flags: &flags)
                }
            }
    }

    private func measurePeers(_ python: String, _ train: FeatureMatrix, _ test: FeatureMatrix) throws -> [String: Double] {
        let files = [(".build/bench-train.csv", train), (".build/bench-test.csv", test)]
        for (path, rows) in files {
            var text = (0..<rows.columns).map { "f\($0)" }.joined(separator: ",") + "\n"
            for row in 0..<rows.rows { text += rows.row(row).map { "\($0)" }.joined(separator: ",") + "\n" }
            try writeFile(path, Array(text.utf8))
        }
        let one = ["OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"]
        let child = try Child("the libraries in Python", [python, settings.script] + files.map(\.0), environment: one, log: ".build/bench-peers.log")
        guard let line = try child.finish().split(separator: "\n").last, let figures = try JSONValue.parse(String(line)).object else {
            throw BenchmarkError("\(settings.script) printed no figures; see .build/bench-peers.log.")
        }
        return Dictionary(figures.compactMap { member in member.value.double.map { (member.name, $0) } }) { first, _ in first }
    }
}
