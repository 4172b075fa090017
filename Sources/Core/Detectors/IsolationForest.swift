import Glibc
import Text

/// Isolation forest: rows that random cuts separate early from the rest are anomalous.
///
/// Liu, Ting and Zhou, "Isolation Forest", ICDM 2008. Raw score 2^(-E[path] / c(sample size)) in 0...1, higher = more anomalous.
///
/// Rows are rounded to `Float` before they meet a cut, in fitting and in scoring alike, and cuts are `Float`; a double-precision reference
/// that rounds its input in the same way takes exactly the same paths.
///
/// Each tree is a complete binary tree of the height limit in heap order: node `i` has children `2i` and `2i + 1`, so a step is two loads,
/// a compare and an add, without a branch. Where a real tree ends early, the nodes below send every row left and only that leaf is reached.
public struct IsolationForest: Detector {
    public static let kind = DetectorKind.isolationForest

    public static let card = DetectorCard(
        summary: "Isolation forest: rows that few random cuts separate from the rest.",
        assumptions:
            "Anomalies are few and differ in single features or in corners of the range; any scale, no distances.",
        cost: "Fit O(trees × sample × log sample) whatever the rows; score O(trees × log sample), about 1 µs a row for 100 × 256.",
        source: "Liu, Ting and Zhou, Isolation Forest, ICDM 2008.",
        parameters: [
            ParameterSpec("trees", .integer(1...10_000), default: .integer(100), "Number of trees; more are steadier and slower."),
            ParameterSpec("sample_size", .integer(2...16_384), default: .integer(256), "Rows drawn for each tree, without replacement."),
        ])

    public let columns: Int
    /// Levels of cuts in every tree.
    let height: Int
    /// c(sample size): the mean path length of an unsuccessful search, which scales the score.
    let normalizer: Double
    /// `[tree × 2^height]`; the cut's `key` in the upper 32 bits, feature in the lower; slot 0 of each tree is unused.
    let cuts: [UInt64]
    /// `[tree × 2^height]`: path length of each leaf, with c(rows in it) added.
    let leaves: [Float]

    public var trees: Int { leaves.count >> height }

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> IsolationForest {
        guard data.rows >= 2 else { throw DetectorError(.data, "An isolation forest needs at least two training rows.") }
        let trees = parameters.integer("trees")
        let size = min(parameters.integer("sample_size"), data.rows)
        var height = 1
        while 1 << height < size { height += 1 }
        var random = SplitMix64(seed: seed)
        var builder = IsolationTreeBuilder(columns: data.columns, height: height)
        var cuts: [UInt64] = []
        var leaves: [Float] = []
        cuts.reserveCapacity(trees << height)
        leaves.reserveCapacity(trees << height)
        for tree in 0..<trees {
            builder.build(from: data, rows: random.sample(size, below: data.rows), random: &random)
            cuts.append(contentsOf: builder.cuts)
            leaves.append(contentsOf: builder.leaves)
            progress(Double(tree + 1) / Double(trees))
        }
        return IsolationForest(
            columns: data.columns, height: height, normalizer: averagePathLength(size), cuts: cuts, leaves: leaves)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        let count = scores.count
        precondition(rows.count == count * columns, "a batch is made of whole rows")
        let block = IsolationForest.blockRows
        scratch.reserve(floats: block)
        scratch.reserve(words: block * columns)
        let scale = -1 / (normalizer * Double(trees))
        scratch.words.withUnsafeMutableBufferPointer { words in
            scratch.floats.withUnsafeMutableBufferPointer { floats in
                guard let input = words.baseAddress, let sums = floats.baseAddress else { return }
                var start = 0
                while start < count {
                    let size = min(block, count - start)
                    let first = start * columns
                    for index in 0..<size * columns {
                        input[index] = UInt64(IsolationForest.key(Float(rows[unchecked: first + index]))) << 32 | 0xFFFF_FFFF
                    }
                    addPaths(input, rows: size, to: sums)
                    for index in 0..<size { scores[start + index] = exp2(Double(sums[index]) * scale) }
                    start += size
                }
            }
        }
    }

    /// Rows scored against one tree before the next tree's nodes come into the cache.
    static let blockRows = 128

    /// Sums each row's path length over all trees. Eight trees, which fit the first cache, meet all rows of the block before the next
    /// eight; a row walks down the eight together, so that their loads overlap.
    private func addPaths(_ input: UnsafePointer<UInt64>, rows: Int, to sums: UnsafeMutablePointer<Float>) {
        let slots = 1 << height
        let trees = trees
        cuts.withUnsafeBufferPointer { cuts in
            leaves.withUnsafeBufferPointer { leaves in
                guard let cuts = cuts.baseAddress, let leaves = leaves.baseAddress else { return }
                for row in 0..<rows { sums[row] = 0 }
                var tree = 0
                while tree + 8 <= trees {
                    for row in 0..<rows {
                        sums[row] += walkEight(cuts + tree * slots, leaves + (tree - 1) * slots, input + row * columns)
                    }
                    tree += 8
                }
                while tree < trees {
                    for row in 0..<rows {
                        var at = 1
                        for _ in 0..<height { IsolationForest.descend(&at, cuts + tree * slots, input + row * columns) }
                        sums[row] += leaves[(tree - 1) * slots + at]
                    }
                    tree += 1
                }
            }
        }
    }

    /// The path lengths of one row in eight neighbouring trees. Separate variables, not a vector: each stays in a register of its own.
    @inline(__always)
    private func walkEight(_ nodes: UnsafePointer<UInt64>, _ leaves: UnsafePointer<Float>, _ row: UnsafePointer<UInt64>) -> Float {
        let slots = 1 << height
        var (a, b, c, d, e, f, g, h) = (1, 1, 1, 1, 1, 1, 1, 1)
        for _ in 0..<height {
            IsolationForest.descend(&a, nodes, row)
            IsolationForest.descend(&b, nodes + slots, row)
            IsolationForest.descend(&c, nodes + 2 * slots, row)
            IsolationForest.descend(&d, nodes + 3 * slots, row)
            IsolationForest.descend(&e, nodes + 4 * slots, row)
            IsolationForest.descend(&f, nodes + 5 * slots, row)
            IsolationForest.descend(&g, nodes + 6 * slots, row)
            IsolationForest.descend(&h, nodes + 7 * slots, row)
        }
        let first = (leaves[a] + leaves[slots + b]) + (leaves[2 * slots + c] + leaves[3 * slots + d])
        return first + ((leaves[4 * slots + e] + leaves[5 * slots + f]) + (leaves[6 * slots + g] + leaves[7 * slots + h]))
    }

    /// One step down: right where the row's value is at least the cut. The value's low half is all ones, so comparing whole words compares
    /// the keys.
    @inline(__always)
    static func descend(_ at: inout Int, _ nodes: UnsafePointer<UInt64>, _ row: UnsafePointer<UInt64>) {
        let node = nodes[at]
        at = 2 &* at &+ (node < row[Int(truncatingIfNeeded: node & 0xFFFF_FFFF)] ? 1 : 0)
    }

    /// A number that orders as the Float does, without a sign: flipped bits for negative values, the sign bit set for the others. -0 counts
    /// as 0.
    @inline(__always)
    static func key(_ value: Float) -> UInt32 {
        let bits = (value + 0).bitPattern
        return bits ^ (UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000)
    }

    /// The middle of the training rows: `Preprocessing` has put it at zero.
    public func expected(for row: [Double]) -> [Double] { row.map { _ in 0 } }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: columns))
        writer.write(UInt8(clamping: height))
        writer.write(normalizer)
        writer.write(cuts)
        writer.write(leaves)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "isolation forest")
        let columns = Int(try reader.uint32())
        let height = Int(try reader.byte())
        guard columns > 0, (1...14).contains(height) else { throw reader.damaged("a forest's shape is out of range") }
        let normalizer = try reader.finite()
        let cuts = try reader.uint64s()
        let leaves = try reader.floats()
        guard normalizer > 0, !cuts.isEmpty, cuts.count == leaves.count, cuts.count.isMultiple(of: 1 << height),
            cuts.allSatisfy({ $0 & 0xFFFF_FFFF < UInt64(columns) }), leaves.allSatisfy(\.isFinite)
        else { throw reader.damaged("a forest's trees do not fit its shape") }
        self.init(columns: columns, height: height, normalizer: normalizer, cuts: cuts, leaves: leaves)
    }

    private init(columns: Int, height: Int, normalizer: Double, cuts: [UInt64], leaves: [Float]) {
        self.columns = columns
        self.height = height
        self.normalizer = normalizer
        self.cuts = cuts
        self.leaves = leaves
    }
}

/// c(n) of the paper: the mean depth at which a search among n values fails.
func averagePathLength(_ count: Int) -> Double {
    switch count {
    case ...1: 0
    case 2: 1
    default: 2 * (log(Double(count - 1)) + 0.5772156649015329) - 2 * Double(count - 1) / Double(count)
    }
}

/// Grows one tree at a time into arrays that it reuses.
private struct IsolationTreeBuilder {
    let columns: Int
    let height: Int
    var cuts: [UInt64]
    var leaves: [Float]
    /// The tree's sample, `[row × column]`, gathered so that growing touches only this.
    private var sample: [Float] = []
    private var order: [Int32] = []
    private var open: [Int] = []

    init(columns: Int, height: Int) {
        self.columns = columns
        self.height = height
        cuts = []
        leaves = []
    }

    mutating func build(from data: FeatureMatrix, rows: [Int], random: inout SplitMix64) {
        // Below an early leaf every cut is +infinity: all rows go left, to the one leaf that has the path length.
        cuts = [UInt64](repeating: UInt64(IsolationForest.key(.infinity)) << 32, count: 1 << height)
        leaves = [Float](repeating: 0, count: 1 << height)
        sample.removeAll(keepingCapacity: true)
        for row in rows {
            for column in 0..<columns { sample.append(Float(data.values[row * columns + column])) }
        }
        order = rows.indices.map { Int32($0) }
        grow(node: 1, depth: 0, range: 0..<rows.count, random: &random)
    }

    private mutating func grow(node: Int, depth: Int, range: Range<Int>, random: inout SplitMix64) {
        guard depth < height, range.count > 1, let cut = chooseCut(range, random: &random) else {
            leaves[(node << (height - depth)) - (1 << height)] = Float(Double(depth) + averagePathLength(range.count))
            return
        }
        cuts[node] = UInt64(IsolationForest.key(cut.value)) << 32 | UInt64(cut.column)
        var middle = range.lowerBound
        for position in range where sample[Int(order[position]) * columns + cut.column] < cut.value {
            order.swapAt(position, middle)
            middle += 1
        }
        grow(node: 2 * node, depth: depth + 1, range: range.lowerBound..<middle, random: &random)
        grow(node: 2 * node + 1, depth: depth + 1, range: middle..<range.upperBound, random: &random)
    }

    /// A random feature among those that vary here, and a cut between its extremes with rows on both sides; nil where nothing varies.
    private mutating func chooseCut(_ range: Range<Int>, random: inout SplitMix64) -> (column: Int, value: Float)? {
        open.removeAll(keepingCapacity: true)
        open.append(contentsOf: 0..<columns)
        while !open.isEmpty {
            let pick = random.below(open.count)
            let column = open[pick]
            open.swapAt(pick, open.count - 1)
            open.removeLast()
            var low = Float.infinity
            var high = -Float.infinity
            for position in range {
                let value = sample[Int(order[position]) * columns + column]
                low = min(low, value)
                high = max(high, value)
            }
            guard low < high else { continue }
            // In double, so that the width of a range of huge values does not overflow; never `low` itself, or the left side were empty.
            let value = Float(Double(low) + random.unit() * (Double(high) - Double(low)))
            return (column, value > low ? min(value, high) : low.nextUp)
        }
        return nil
    }
}
