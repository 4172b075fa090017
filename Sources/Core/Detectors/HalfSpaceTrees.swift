import Glibc
import Text

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
    /// `[tree × 2^depth]` in heap order, slot 0 unused: the cut's `IsolationForest.key` in the upper 32 bits, feature in the lower.
    let cuts: [UInt64]
    /// Rows of `fit`'s window in each leaf, `[tree × 2^depth]`.
    let counts: [Float]
    /// What a row in each leaf gets from these counts, see `worths`.
    private let worth: [Double]

    /// A node with at most this share of the window ends the way down.
    static let smallShare = 0.1

    /// Leaves of a tree.
    private var leaves: Int { 1 << depth }

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
        var random = SplitMix64(seed: seed)
        var cuts: [UInt64] = []
        for tree in 0..<trees {
            // A work range that holds the training range, off its centre at random, as in the paper.
            let work = ranges.map { low, high -> (Double, Double) in
                let split = low + random.unit() * (high - low)
                let reach = 2 * max(split - low, high - split, 1e-9)
                return (split - reach, split + reach)
            }
            halve(work, depth: depth, random: &random, cuts: &cuts)
            progress(0.5 * Double(tree + 1) / Double(trees))
        }
        let window = min(parameters.integer("window"), data.rows)
        var counts = [Float](repeating: 0, count: trees << depth)
        let empty = HalfSpaceTrees(columns: data.columns, trees: trees, depth: depth, window: window, cuts: cuts, counts: counts)
        // A sample of the whole training set as the first window, so that a sorted file does not leave its last rows as all that is normal.
        var scratch = ScoringScratch()
        for row in random.sample(window, below: data.rows) {
            empty.walk(data.values.span.extracting(row * data.columns..<(row + 1) * data.columns), &scratch)
            for tree in 0..<trees { counts[tree << depth + Int(scratch.indexes[tree])] += 1 }
        }
        progress(1)
        return HalfSpaceTrees(columns: data.columns, trees: trees, depth: depth, window: window, cuts: cuts, counts: counts)
    }

    /// Appends one tree in heap order; both halves of a range go on with their own half.
    private static func halve(_ work: [(Double, Double)], depth: Int, random: inout SplitMix64, cuts: inout [UInt64]) {
        var ranges: [[(Double, Double)]] = [[], work]
        cuts.append(0)
        for node in 1..<(1 << depth) {
            let range = ranges[node]
            let feature = random.below(range.count)
            let middle = (range[feature].0 + range[feature].1) / 2
            cuts.append(UInt64(IsolationForest.key(Float(middle))) << 32 | UInt64(feature))
            var left = range
            left[feature].1 = middle
            var right = range
            right[feature].0 = middle
            ranges.append(left)
            ranges.append(right)
        }
    }

    /// The leaf of each tree that the row falls into, in `scratch.indexes`. Trees are walked eight at a time, so that their loads overlap.
    @inline(__always)
    private func walk(_ row: Span<Double>, _ scratch: inout ScoringScratch) {
        let (trees, depth, leaves) = (trees, depth, leaves)
        scratch.reserve(words: columns)
        scratch.reserve(indexes: trees)
        for column in 0..<columns { scratch.words[column] = UInt64(IsolationForest.key(Float(row[unchecked: column]))) << 32 | 0xFFFF_FFFF }
        scratch.words.withUnsafeBufferPointer { words in
            scratch.indexes.withUnsafeMutableBufferPointer { found in
                cuts.withUnsafeBufferPointer { cuts in
                    guard let row = words.baseAddress, let cuts = cuts.baseAddress, let found = found.baseAddress else { return }
                    var tree = 0
                    while tree + 8 <= trees {
                        let nodes = cuts + tree * leaves
                        var (a, b, c, d, e, f, g, h) = (1, 1, 1, 1, 1, 1, 1, 1)
                        for _ in 0..<depth {
                            IsolationForest.descend(&a, nodes, row)
                            IsolationForest.descend(&b, nodes + leaves, row)
                            IsolationForest.descend(&c, nodes + 2 * leaves, row)
                            IsolationForest.descend(&d, nodes + 3 * leaves, row)
                            IsolationForest.descend(&e, nodes + 4 * leaves, row)
                            IsolationForest.descend(&f, nodes + 5 * leaves, row)
                            IsolationForest.descend(&g, nodes + 6 * leaves, row)
                            IsolationForest.descend(&h, nodes + 7 * leaves, row)
                        }
                        found[tree] = Int32(truncatingIfNeeded: a - leaves)
                        found[tree + 1] = Int32(truncatingIfNeeded: b - leaves)
                        found[tree + 2] = Int32(truncatingIfNeeded: c - leaves)
                        found[tree + 3] = Int32(truncatingIfNeeded: d - leaves)
                        found[tree + 4] = Int32(truncatingIfNeeded: e - leaves)
                        found[tree + 5] = Int32(truncatingIfNeeded: f - leaves)
                        found[tree + 6] = Int32(truncatingIfNeeded: g - leaves)
                        found[tree + 7] = Int32(truncatingIfNeeded: h - leaves)
                        tree += 8
                    }
                    while tree < trees {
                        var at = 1
                        for _ in 0..<depth { IsolationForest.descend(&at, cuts + tree * leaves, row) }
                        found[tree] = Int32(truncatingIfNeeded: at - leaves)
                        tree += 1
                    }
                }
            }
        }
    }

    /// What a row in each leaf gets: the mass at the node where its way ends, times 2^level. The way down ends at the first node that
    /// holds at most the small share of the window. Worked out once a window instead of at every row.
    private static func worths(
        _ counts: UnsafePointer<Double>, into worth: UnsafeMutablePointer<Double>, trees: Int, depth: Int, window: Int
    ) {
        let leaves = 1 << depth
        let small = smallShare * Double(window)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 4 * leaves) { work in
            guard let mass = work.baseAddress else { return }
            // Below zero while the way goes on.
            let ended = mass + 2 * leaves
            for tree in 0..<trees {
                for leaf in 0..<leaves { mass[leaves + leaf] = counts[tree * leaves + leaf] }
                for node in stride(from: leaves - 1, to: 0, by: -1) { mass[node] = mass[2 * node] + mass[2 * node + 1] }
                ended[0] = -1
                var (level, first) = (0, 1)
                while level <= depth {
                    for node in first..<2 * first {
                        let above = ended[node / 2]
                        ended[node] = above >= 0 ? above : mass[node] <= small || level == depth ? mass[node] * Double(first) : -1
                    }
                    level += 1
                    first *= 2
                }
                for leaf in 0..<leaves { worth[tree * leaves + leaf] = ended[leaves + leaf] }
            }
        }
    }

    /// From the sum over trees to the raw score: the greatest sum there can be becomes 0.
    private func rawScore(_ sum: Double) -> Double { 1 - sum / (Double(trees * window) * Double(leaves)) }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        for row in 0..<scores.count {
            walk(rows.extracting(row * columns..<(row + 1) * columns), &scratch)
            var sum = 0.0
            for tree in 0..<trees { sum += worth[tree << depth + Int(scratch.indexes[tree])] }
            scores[row] = rawScore(sum)
        }
    }

    // MARK: Learning

    /// One for all that comes along: entities share the boxes.
    public static var scope: StateScope { .stream }

    /// Numbers: what each leaf gives by the window before, then the rows in each leaf in the current window. Integers: rows in the current
    /// window, then the leaves of the row that was scored last.
    public func makeState() -> DetectorState {
        DetectorState(
            numbers: worth + [Double](repeating: 0, count: worth.count), integers: [0] + [Int64](repeating: -1, count: trees))
    }

    private func accepts(_ state: DetectorState) -> Bool {
        state.numbers.count == 2 * worth.count && state.integers.count == 1 + trees
    }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        walk(row, &scratch)
        var sum = 0.0
        for tree in 0..<trees {
            let leaf = scratch.indexes[tree]
            state.integers[1 + tree] = Int64(leaf)
            sum += state.numbers[tree << depth + Int(leaf)]
        }
        return rawScore(sum)
    }

    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {
        guard accepts(state), state.integers[1] >= 0 else { return }
        let half = worth.count
        for tree in 0..<trees {
            // The mask keeps a damaged state inside the tree.
            let leaf = Int(truncatingIfNeeded: state.integers[1 + tree]) & (leaves - 1)
            state.numbers[half + tree << depth + leaf] += 1
        }
        state.integers[0] += 1
        guard state.integers[0] >= Int64(window) else { return }
        state.numbers.withUnsafeMutableBufferPointer { numbers in
            guard let numbers = numbers.baseAddress else { return }
            Self.worths(numbers + half, into: numbers, trees: trees, depth: depth, window: window)
            for index in 0..<half { numbers[half + index] = 0 }
        }
        state.integers[0] = 0
    }

    /// The middle of the training rows: `Preprocessing` has put it at zero.
    public func expected(for row: [Double]) -> [Double] { row.map { _ in 0 } }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(2))
        for value in [columns, trees, depth, window] { writer.write(UInt32(clamping: value)) }
        writer.write(cuts)
        writer.write(counts)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(2, of: "half-space trees")
        let columns = Int(try reader.uint32())
        let trees = Int(try reader.uint32())
        let depth = Int(try reader.uint32())
        let window = Int(try reader.uint32())
        let cuts = try reader.uint64s()
        let counts = try reader.floats()
        guard columns > 0, (1...500).contains(trees), (2...14).contains(depth), window > 0, cuts.count == trees << depth,
            counts.count == cuts.count, cuts.allSatisfy({ $0 & 0xFFFF_FFFF < UInt64(columns) }),
            counts.allSatisfy({ $0 >= 0 && $0.isFinite })
        else { throw reader.damaged("half-space trees do not fit their shape") }
        self.init(columns: columns, trees: trees, depth: depth, window: window, cuts: cuts, counts: counts)
    }

    private init(columns: Int, trees: Int, depth: Int, window: Int, cuts: [UInt64], counts: [Float]) {
        self.columns = columns
        self.trees = trees
        self.depth = depth
        self.window = window
        self.cuts = cuts
        self.counts = counts
        var worth = [Double](repeating: 0, count: counts.count)
        let own = counts.map { Double($0) }
        own.withUnsafeBufferPointer { own in
            worth.withUnsafeMutableBufferPointer { worth in
                guard let own = own.baseAddress, let worth = worth.baseAddress else { return }
                Self.worths(own, into: worth, trees: trees, depth: depth, window: window)
            }
        }
        self.worth = worth
    }
}
