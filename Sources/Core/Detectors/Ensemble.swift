import Glibc
import Text

/// Several detectors that vote with p-values, chosen by what kind of data the training rows are.
///
/// - **Series** (rows of an entity depend on the ones before, see `ContextPlan`): distances to the training rows, linear relations and
///   plain
///   deviations, over values, smoothed values and volatility.
/// - **Related** (at least a tenth of the directions hardly vary: some features follow from others): linear relations, distances, an
///   isolation forest and deviations. The last two see no relations and count half; the forest stands fast where the training rows
///   themselves hold anomalies, which the first two then take for normal.
/// - **Scattered** (anything else): an isolation forest, the same again without the most suspicious twentieth of the training rows, and
///   deviations. The
///   second forest finds what contaminated the training rows themselves.
///
/// Every member scales its own columns, is fitted on three quarters of the rows and calibrated on the rest; the raw score is the weighted
/// mean of the members' surprise (-log10 p), Fisher's way of joining p-values (Fisher 1932) without the independence that nobody has.
/// Higher = more anomalous.
public struct Ensemble: WideningDetector {
    public static let kind = DetectorKind.ensemble

    public static let card = DetectorCard(
        summary: "Ensemble: several detectors chosen by the kind of data, joined by their p-values.",
        assumptions: "The training rows are mostly normal; order and entities are given where rows follow each other.",
        cost: "The sum of its members: a few microseconds a row for few features, tens for many.",
        source: "Fisher, Statistical Methods for Research Workers, 1932; Aggarwal and Sathe, Outlier Ensembles, 2017.",
        parameters: [
            ParameterSpec(
                "profile", .choice(["auto", "series", "related", "scattered"]), default: .text("auto"),
                "Kind of data; auto looks at the training rows."),
            ParameterSpec(
                "members", .list(["auto", "isolation-forest", "lof", "pca", "robust-z"]), default: .list(["auto"]),
                "Members of equal weight instead of those that the profile chooses."),
        ])

    /// One voter.
    struct Member: Sendable {
        /// Columns of the (wide) row that it sees.
        let selection: [Int]
        let scaler: Preprocessing
        let limit: Double
        let detector: any Detector
        let calibration: Calibration
        let weight: Double
    }

    /// What a member is to be.
    private struct MemberPlan {
        var kind: DetectorKind
        var given: [String: ParameterValue]
        var views: [Int]
        var weight: Double
        var isTrimmed = false
        /// Scaled values are cut here for detectors that measure distances.
        var limit = Preprocessing.limit
    }

    public let columns: Int
    /// Only for series.
    let context: ContextPlan?
    let members: [Member]

    /// A direction hardly varies when its variance is below this share of one feature's.
    static let thinDirection = 0.01

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> Ensemble {
        guard data.rows >= 8 else { throw DetectorError(.data, "An ensemble needs at least eight training rows.") }
        let profile = parameters.text("profile")
        let context = ["auto", "series"].contains(profile) ? ContextPlan.choose(data, order: order) : nil
        var rows = data
        if let context, let order {
            let (wide, isWarm) = context.expand(data, order: order)
            rows = wide.selecting(rows: isWarm.indices.filter { isWarm[$0] })
        }
        let plans = plans(data, isSeries: context != nil, profile: profile, names: parameters.list("members"))
        var random = SplitMix64(seed: seed)
        let shuffled = random.sample(rows.rows, below: rows.rows)
        let heldBack = shuffled[..<max(rows.rows / 4, 2)].sorted()
        let training = shuffled[max(rows.rows / 4, 2)...].sorted()
        var members: [Member] = []
        for (number, plan) in plans.enumerated() {
            var chosen = training
            if plan.isTrimmed {
                let suspicion = suspicion(rows, members: members)
                chosen = training.sorted { suspicion[$0] < suspicion[$1] }
                chosen.removeLast(chosen.count / 20)
                chosen.sort()
            }
            let start = Double(number) / Double(plans.count)
            members.append(
                try fitMember(plan, rows, training: chosen, heldBack: heldBack, columns: data.columns, seed: random.next()) {
                    progress(start + $0 / Double(plans.count))
                })
        }
        progress(1)
        return Ensemble(columns: data.columns, context: context, members: members)
    }

    private static func plans(_ data: FeatureMatrix, isSeries: Bool, profile: String, names: [String]) -> [MemberPlan] {
        let spread: [String: ParameterValue] = ["combine": .text("mean"), "spread": .text("deviation")]
        let distance: [String: ParameterValue] = [
            "measure": .text("distance"), "neighbours": .integer(5), "reference_rows": .integer(5000),
        ]
        if !names.contains("auto") {
            return DetectorKind.allCases.filter { names.contains($0.rawValue) }.map {
                let views = isSeries ? [1, 2] : [0]
                switch $0 {
                case .robustZ: return MemberPlan(kind: $0, given: spread, views: [0], weight: 1)
                case .lof: return MemberPlan(kind: $0, given: [:], views: views, weight: 1, limit: RobustZ.cap)
                case .isolationForest: return MemberPlan(kind: $0, given: ["trees": .integer(200)], views: views, weight: 1)
                default: return MemberPlan(kind: $0, given: [:], views: views, weight: 1)
                }
            }
        }
        if isSeries {
            return [
                MemberPlan(kind: .pca, given: [:], views: [1, 2], weight: 1),
                MemberPlan(kind: .lof, given: distance, views: [1, 2], weight: 1, limit: RobustZ.cap),
                MemberPlan(kind: .robustZ, given: spread, views: [0], weight: 0.3),
                MemberPlan(kind: .pca, given: [:], views: [3], weight: 1),
            ]
        }
        if profile == "related" || profile == "auto" && isRelated(data) {
            return [
                MemberPlan(kind: .pca, given: [:], views: [0], weight: 1),
                MemberPlan(kind: .lof, given: distance, views: [0], weight: 1, limit: RobustZ.cap),
                MemberPlan(kind: .isolationForest, given: ["trees": .integer(200)], views: [0], weight: 0.5),
                MemberPlan(kind: .robustZ, given: spread, views: [0], weight: 0.5),
            ]
        }
        return [
            MemberPlan(kind: .isolationForest, given: ["trees": .integer(200)], views: [0], weight: 1),
            MemberPlan(kind: .robustZ, given: spread, views: [0], weight: 1),
            MemberPlan(kind: .isolationForest, given: [:], views: [0], weight: 1, isTrimmed: true),
        ]
    }

    /// Whether at least a tenth of the directions of the scaled features hardly vary.
    static func isRelated(_ data: FeatureMatrix) -> Bool {
        let (_, covariance) = PrincipalComponents.covariance(data)
        let columns = data.columns
        let varying = (0..<columns).filter { covariance[$0 * columns + $0] > 1e-12 }
        guard varying.count > 1 else { return false }
        var correlation: [Double] = []
        for first in varying {
            for second in varying {
                let scale = (covariance[first * columns + first] * covariance[second * columns + second]).squareRoot()
                correlation.append(covariance[first * columns + second] / scale)
            }
        }
        let values = SymmetricEigen(correlation, order: varying.count).values
        return 10 * values.count { $0 < thinDirection } >= varying.count
    }

    /// Mean surprise of each row, by the members so far.
    private static func suspicion(_ rows: FeatureMatrix, members: [Member]) -> [Double] {
        var sum = [Double](repeating: 0, count: rows.rows)
        for member in members {
            let raw = member.detector.score(member.view(rows))
            for row in raw.indices { sum[row] += member.calibration.surprise(raw[row]) }
        }
        return sum
    }

    private static func fitMember(
        _ plan: MemberPlan, _ rows: FeatureMatrix, training: [Int], heldBack: [Int], columns: Int, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> Member {
        let selection = plan.views.flatMap { view in (0..<columns).map { view * columns + $0 } }
        let own = rows.selecting(columns: selection)
        let fitRows = own.selecting(rows: training)
        let names = selection.map { "\($0)" }
        let scaler = try Preprocessing(fitRows, featureNames: names, scaling: .standard)
        let parameters = try DetectorParameters(for: plan.kind, given: plan.given)
        let detector = try plan.kind.type.fit(
            cut(scaler.apply(fitRows), plan.limit), order: nil, parameters: parameters, seed: seed, progress: progress)
        let calibration = Calibration(heldBack: detector.score(cut(scaler.apply(own.selecting(rows: heldBack)), plan.limit)))
        return Member(
            selection: selection, scaler: scaler, limit: plan.limit, detector: detector, calibration: calibration, weight: plan.weight)
    }

    private static func cut(_ data: FeatureMatrix, _ limit: Double) -> FeatureMatrix {
        guard limit < Preprocessing.limit else { return data }
        return FeatureMatrix(values: data.values.map { min(max($0, -limit), limit) }, columns: data.columns)
    }

    // MARK: Scoring

    public func makeState() -> DetectorState { context?.makeState() ?? DetectorState() }

    public var keepsHistory: Bool { context != nil }
    var wideColumns: Int { context?.outputColumns ?? columns }

    /// Without a history each row stands as the first of its entity.
    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        guard context != nil else { return scoreWide(rows, into: &scores, scratch: &scratch) }
        let (count, width) = (scores.count, wideColumns)
        var wide = ScoringScratch.lend(&scratch.wide, count * width)
        var output = wide.mutableSpan
        for row in 0..<count {
            var state = makeState()
            var place = output._mutatingExtracting(row * width..<(row + 1) * width)
            widen(rows.extracting(row * columns..<(row + 1) * columns), state: &state, into: &place)
        }
        scoreWide(wide.span.extracting(first: count * width), into: &scores, scratch: &scratch)
        scratch.wide = wide
    }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        var raw = ScoringScratch.lend(&scratch.raw, 1)
        var wide = ScoringScratch.lend(&scratch.wide, wideColumns)
        defer { (scratch.raw, scratch.wide) = (raw, wide) }
        var expanded = wide.mutableSpan
        widen(row, state: &state, into: &expanded)
        var output = raw.mutableSpan
        var scores = output._mutatingExtracting(0..<1)
        scoreWide(wide.span.extracting(first: wideColumns), into: &scores, scratch: &scratch)
        return scores[0]
    }

    func widen(_ row: Span<Double>, state: inout DetectorState, into wide: inout MutableSpan<Double>) {
        guard let context else {
            for column in 0..<columns { wide[column] = row[column] }
            return
        }
        // A state of another model would be misread: start anew.
        if !context.accepts(state) { state = context.makeState() }
        context.expand(row, state: &state, into: &wide)
    }

    /// The weighted mean of the members' surprise over (wide) rows.
    func scoreWide(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        let count = scores.count
        let width = wideColumns
        precondition(rows.count == count * width, "a batch is made of whole rows")
        while scratch.nested.count < members.count { scratch.nested.append(ScoringScratch()) }
        var total = 0.0
        for row in 0..<count { scores[row] = 0 }
        for member in members { total += member.weight }
        for (number, member) in members.enumerated() {
            let size = member.selection.count
            let share = member.weight / total
            var view = ScoringScratch.lend(&scratch.numbers, count * size)
            // The member's raw scores stand behind its own view in its scratch.
            var raw = ScoringScratch.lend(&scratch.nested[number].raw, count)
            var work = view.mutableSpan
            for row in 0..<count {
                for (place, column) in member.selection.enumerated() {
                    let scaled = (rows[unchecked: row * width + column] - member.scaler.centers[place]) * member.scaler.factors[place]
                    work[unchecked: row * size + place] = min(max(scaled, -member.limit), member.limit)
                }
            }
            var all = raw.mutableSpan
            var output = all._mutatingExtracting(0..<count)
            member.detector.score(view.span.extracting(first: count * size), into: &output, scratch: &scratch.nested[number])
            for row in 0..<count { scores[row] += share * member.calibration.surprise(output[row]) }
            scratch.nested[number].raw = raw
            scratch.numbers = view
        }
    }

    // MARK: Explanation

    public func expected(for row: [Double]) -> [Double] { explain(row).expected }

    public func explain(_ row: [Double]) -> Explanation {
        var (state, wide) = (makeState(), [Double](repeating: 0, count: wideColumns))
        var output = wide.mutableSpan
        widen(row.span, state: &state, into: &output)
        return explainWide(wide)
    }

    /// Each member's own explanation, weighted by how surprised it is and folded from the views to the features. Expected values are those
    /// of the member that sees the values themselves and is the most surprised.
    func explainWide(_ wide: [Double]) -> Explanation {
        let matrix = FeatureMatrix(values: wide, columns: wide.count)
        var weights = [Double](repeating: 0, count: columns)
        var expected = [Double](repeating: 0, count: columns)
        var best = -1.0
        for member in members {
            let view = member.view(matrix)
            let surprise = member.calibration.surprise(member.detector.score(view)[0]) * member.weight
            let own = member.detector.explain(view.values)
            for (place, column) in member.selection.enumerated() { weights[column % columns] += surprise * abs(own.contributions[place]) }
            guard surprise > best, member.selection.count == columns else { continue }
            best = surprise
            for place in 0..<columns { expected[place] = member.scaler.restore(own.expected[place], column: place) }
        }
        return Explanation.signed(weights, row: Array(wide[..<columns]), expected: expected)
    }

    /// Its members, and what about the training rows chose them.
    var choice: String {
        let names = members.map { type(of: $0.detector).kind.rawValue }.joined(separator: ", ")
        let reason =
            context != nil
            ? "the rows of an entity follow each other"
            : members.contains { $0.detector is PrincipalComponents } ? "some features follow from others" : "the rows stand for themselves"
        return "ensemble of \(names), since \(reason)"
    }

    // MARK: State

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: columns))
        writer.write(context != nil)
        context?.encode(into: &writer)
        writer.count(members.count)
        for member in members {
            writer.write(member.selection.map { Int64($0) })
            writer.write(member.limit)
            writer.write(member.weight)
            member.scaler.encode(into: &writer)
            member.calibration.encode(into: &writer)
            writer.write(type(of: member.detector).kind.rawValue)
            member.detector.encode(into: &writer)
        }
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "ensemble")
        let columns = Int(try reader.uint32())
        var context: ContextPlan?
        if try reader.flag() { context = try ContextPlan(from: &reader) }
        let width = columns * (context == nil ? 1 : ContextPlan.views)
        var members: [Member] = []
        for _ in 0..<(try reader.uint32()) {
            let selection = try reader.int64s().map { Int(truncatingIfNeeded: $0) }
            let limit = try reader.finite()
            let weight = try reader.finite()
            let scaler = try Preprocessing(from: &reader)
            let calibration = try Calibration(from: &reader)
            guard let kind = DetectorKind(rawValue: try reader.text()), kind != .ensemble else {
                throw reader.damaged("a member is of no known kind")
            }
            let detector = try kind.type.init(from: &reader)
            guard selection.allSatisfy({ (0..<width).contains($0) }), selection.count == scaler.columns, detector.columns == scaler.columns,
                limit > 0, weight > 0
            else { throw reader.damaged("a member does not fit its columns") }
            members.append(
                Member(
                    selection: selection, scaler: scaler, limit: limit, detector: detector, calibration: calibration, weight: weight))
        }
        guard columns > 0, !members.isEmpty, context == nil || context?.columns == columns else {
            throw reader.damaged("an ensemble has no members")
        }
        self.init(columns: columns, context: context, members: members)
    }

    private init(columns: Int, context: ContextPlan?, members: [Member]) {
        self.columns = columns
        self.context = context
        self.members = members
    }
}

extension Ensemble.Member {
    /// The member's own scaled columns of (wide) rows.
    func view(_ rows: FeatureMatrix) -> FeatureMatrix {
        let scaled = scaler.apply(rows.selecting(columns: selection))
        return FeatureMatrix(values: scaled.values.map { min(max($0, -limit), limit) }, columns: scaled.columns)
    }
}
