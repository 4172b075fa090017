import Glibc

/// Half-space trees: a stream's rows counted in random boxes; rows in boxes that were empty lately are anomalous. Learns on the way.
///
/// Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011. Each tree halves its work range at random features down to a
/// fixed depth; rows are counted in the nodes on their way, in the current window, while scores come from the counts of the window before.
/// Raw score: 1 minus the mean mass on the way over the greatest possible; higher = more anomalous.
public struct HalfSpaceTrees: StreamingDetector {
    public static let kind = DetectorKind.halfSpaceTrees

    public static let card = DetectorCard(
        summary: "Half-space trees: rows in random boxes that were empty lately; learns on the way.",
        assumptions: "Training rows show the range of each feature; what is normal changes slower than the window.",
        cost: "O(trees × depth) a row, whatever the number of features; fixed memory.",
        source: "Tan, Ting and Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011.",
        parameters: [
            ParameterSpec("trees", .integer(1...500), default: .integer(25), "Number of trees."),
            ParameterSpec("depth", .integer(2...14), default: .integer(8), "Halvings from the root to a leaf."),
            ParameterSpec("window", .integer(10...100_000), default: .integer(250), "Rows counted before their counts are used."),
        ])

    public let columns: Int
    let trees: Int
    let depth: Int
    let window: Int
    /// `[tree × 2^depth]` in heap order, slot 0 unused: feature, and the value that halves the range.
    let features: [Int32]
    let cuts: [Float]
    /// Counts of the last full window in `fit`, `[tree × 2^(depth + 1)]`.
    let masses: [Float]

    /// A node with at most this share of the window ends the way down.
    static let smallShare: Float = 0.1

    private var slots: Int { 1 << depth }
    private var nodes: Int { 2 << depth }

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> HalfSpaceTrees {
        guard data.rows >= 2 else { throw DetectorError(.data, "Half-space trees need at least two training rows.") }
        let trees = parameters.integer("trees")
        let depth = parameters.integer("depth")
        let ranges = (0..<data.columns).map { column -> (Double, Double) in
            let values = data.column(column)
            return (values.min() ?? 0, values.max() ?? 0)
        }
        var random = SeededGenerator(seed: seed)
        var features: [Int32] = []
        var cuts: [Float] = []
        for tree in 0..<trees {
            // A work range that holds the training range, off its centre at random, as in the paper.
            let work = ranges.map { low, high -> (Double, Double) in
                let split = low + random.unit() * (high - low)
                let reach = 2 * max(split - low, high - split, 1e-9)
                return (split - reach, split + reach)
            }
            halve(work, depth: depth, random: &random, features: &features, cuts: &cuts)
            progress(0.5 * Double(tree + 1) / Double(trees))
        }
        let window = min(parameters.integer("window"), data.rows)
        let empty = HalfSpaceTrees(
            columns: data.columns, trees: trees, depth: depth, window: window, features: features, cuts: cuts,
            masses: [Float](repeating: 0, count: trees << (depth + 1)))
        // A sample of the whole training set as the first window, so that a sorted file does not leave its last rows as all that is normal.
        var masses = empty.masses
        var query = [Float](repeating: 0, count: data.columns)
        for row in random.sample(window, below: data.rows) {
            for column in 0..<data.columns { query[column] = Float(data[row, column]) }
            for tree in 0..<trees {
                var node = 1
                masses[tree * empty.nodes + node] += 1
                for _ in 0..<depth {
                    node = empty.child(of: node, tree: tree, query)
                    masses[tree * empty.nodes + node] += 1
                }
            }
        }
        progress(1)
        return HalfSpaceTrees(
            columns: data.columns, trees: trees, depth: depth, window: window, features: features, cuts: cuts, masses: masses)
    }

    /// Appends one tree in heap order; both halves of a range go on with their own half.
    private static func halve(
        _ work: [(Double, Double)], depth: Int, random: inout SeededGenerator, features: inout [Int32], cuts: inout [Float]
    ) {
        var ranges: [[(Double, Double)]] = [[], work]
        features.append(0)
        cuts.append(0)
        for node in 1..<(1 << depth) {
            let range = ranges[node]
            let feature = random.below(range.count)
            let middle = (range[feature].0 + range[feature].1) / 2
            features.append(Int32(feature))
            cuts.append(Float(middle))
            var left = range
            left[feature].1 = middle
            var right = range
            right[feature].0 = middle
            ranges.append(left)
            ranges.append(right)
        }
    }

    @inline(__always)
    private func child(of node: Int, tree: Int, _ query: [Float]) -> Int {
        let slot = tree * slots + node
        return 2 * node + (query[Int(features[slot])] >= cuts[slot] ? 1 : 0)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        scratch.reserve(floats: columns)
        for row in 0..<scores.count {
            for column in 0..<columns { scratch.floats[column] = Float(rows[unchecked: row * columns + column]) }
            scores[row] = score(scratch.floats) { masses[$0] }
        }
    }

    /// Mass at the node where each tree's walk ends, times 2^level, over the greatest there can be.
    @inline(__always)
    private func score(_ query: [Float], mass: (Int) -> Float) -> Double {
        let small = HalfSpaceTrees.smallShare * Float(window)
        let (trees, depth, slots, nodes) = (trees, depth, slots, nodes)
        var sum: Float = 0
        features.withUnsafeBufferPointer { features in
            cuts.withUnsafeBufferPointer { cuts in
                query.withUnsafeBufferPointer { query in
                    for tree in 0..<trees {
                        var node = 1
                        var level = 0
                        var own = mass(tree * nodes + node)
                        while level < depth, own > small {
                            let slot = tree * slots + node
                            node = 2 * node + (query[Int(features[slot])] >= cuts[slot] ? 1 : 0)
                            level += 1
                            own = mass(tree * nodes + node)
                        }
                        sum += own * Float(1 << level)
                    }
                }
            }
        }
        return 1 - Double(sum) / (Double(trees * window) * Double(1 << depth))
    }

    // MARK: Learning

    /// Numbers: counts of the window before, then of the current one. Integers: rows in the current window.
    public func makeState() -> DetectorState {
        DetectorState(numbers: masses.map { Double($0) } + [Double](repeating: 0, count: masses.count), integers: [0])
    }

    private func accepts(_ state: DetectorState) -> Bool { state.numbers.count == 2 * masses.count && state.integers.count == 1 }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        scratch.reserve(floats: columns)
        for column in 0..<columns { scratch.floats[column] = Float(row[unchecked: column]) }
        return state.numbers.withUnsafeBufferPointer { numbers in score(scratch.floats) { Float(numbers[$0]) } }
    }

    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {
        if !accepts(state) { state = makeState() }
        let half = masses.count
        let (trees, depth, slots, nodes) = (trees, depth, slots, nodes)
        state.numbers.withUnsafeMutableBufferPointer { numbers in
            features.withUnsafeBufferPointer { features in
                cuts.withUnsafeBufferPointer { cuts in
                    for tree in 0..<trees {
                        var node = 1
                        numbers[half + tree * nodes + node] += 1
                        for _ in 0..<depth {
                            let slot = tree * slots + node
                            node = 2 * node + (Float(row[unchecked: Int(features[slot])]) >= cuts[slot] ? 1 : 0)
                            numbers[half + tree * nodes + node] += 1
                        }
                    }
                }
            }
        }
        state.integers[0] += 1
        guard state.integers[0] >= Int64(window) else { return }
        for index in 0..<half {
            state.numbers[index] = state.numbers[half + index]
            state.numbers[half + index] = 0
        }
        state.integers[0] = 0
    }

    /// The middle of the training rows: `Preprocessing` has put it at zero.
    public func expected(for row: [Double]) -> [Double] { row.map { _ in 0 } }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        for value in [columns, trees, depth, window] { writer.write(UInt32(clamping: value)) }
        writer.write(features.map { Int64($0) })
        writer.write(cuts)
        writer.write(masses)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "half-space trees")
        let columns = Int(try reader.uint32())
        let trees = Int(try reader.uint32())
        let depth = Int(try reader.uint32())
        let window = Int(try reader.uint32())
        let features = try reader.int64s()
        let cuts = try reader.floats()
        let masses = try reader.floats()
        guard columns > 0, (1...500).contains(trees), (2...14).contains(depth), window > 0, features.count == trees << depth,
            cuts.count == features.count, masses.count == 2 * features.count, features.allSatisfy({ (0..<Int64(columns)).contains($0) }),
            cuts.allSatisfy({ $0.isFinite }), masses.allSatisfy({ $0 >= 0 && $0.isFinite })
        else { throw reader.damaged("half-space trees do not fit their shape") }
        self.init(
            columns: columns, trees: trees, depth: depth, window: window, features: features.map { Int32(truncatingIfNeeded: $0) },
            cuts: cuts,
            masses: masses)
    }

    private init(columns: Int, trees: Int, depth: Int, window: Int, features: [Int32], cuts: [Float], masses: [Float]) {
        self.columns = columns
        self.trees = trees
        self.depth = depth
        self.window = window
        self.features = features
        self.cuts = cuts
        self.masses = masses
    }
}
