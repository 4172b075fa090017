import Glibc
import Text

/// Random cut forest on shingles: how much a tree over recent shingles would change if the newest were in it. Learns on the way.
///
/// Guha, Mishra, Roy and Schrijvers, "Robust Random Cut Forest Based Anomaly Detection On Streams", ICML 2016. A cut falls on a dimension
/// in proportion to the range of the points and at a uniform place in it. The paper shows that inserting a point into such a tree gives the
/// same distribution as growing a tree with it; so only the path of the scored shingle is grown, from the sample itself, and no tree is
/// kept: the state is the sample. Raw score: the mean over trees of the greatest ratio, on that path, of the points cut away to those that
/// stay with the shingle (collusive displacement); higher = more anomalous.
///
/// The sample is time-biased: a learned shingle replaces a random one with a fixed chance, so that ages are spread exponentially over the
/// horizon.
public struct RandomCutForest: StreamingDetector {
    public static let kind = DetectorKind.randomCutForest

    public static let card = DetectorCard(
        summary: "Random cut forest on shingles: rows that random cuts separate early; learns on the way.",
        assumptions: "Scaled features; what is normal changes slower than the horizon.",
        cost: "O(trees × min(sample, 64) × shingle) a row, about 50 µs; a sample of shingles for each entity.",
        source: "Guha, Mishra, Roy and Schrijvers, Robust Random Cut Forest Based Anomaly Detection On Streams, ICML 2016.",
        parameters: [
            ParameterSpec("trees", .integer(1...500), default: .integer(50), "Number of trees."),
            ParameterSpec("sample_size", .integer(8...2048), default: .integer(256), "Shingles in the sample."),
            ParameterSpec("shingle", .integer(1...64), default: .integer(4), "Rows in a shingle; 1 without a known order."),
            ParameterSpec("horizon", .integer(10...1_000_000), default: .integer(2000), "Mean age, in rows, of a shingle in the sample."),
        ])

    public let columns: Int
    let trees: Int
    /// Rows in a shingle.
    let length: Int
    let horizon: Int
    let seed: UInt64
    /// What `fit` has seen, `[shingle × (row × column)]`.
    let sample: [Double]

    private var width: Int { length * columns }
    private var size: Int { sample.count / width }

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> RandomCutForest {
        guard data.rows >= 2 else { throw DetectorError(.data, "A random cut forest needs at least two training rows.") }
        let sequences = order?.sequences() ?? []
        let longest = sequences.map(\.count).max() ?? 1
        let length = min(parameters.integer("shingle"), max(longest / 4, 1))
        // The last row of every whole shingle, and where its first row stands in its sequence.
        var ends: [(sequence: Int, end: Int)] = []
        for (number, sequence) in sequences.enumerated() where sequence.count >= length {
            for end in length...sequence.count { ends.append((number, end)) }
        }
        var random = SplitMix64(seed: seed)
        var sample: [Double] = []
        for chosen in random.sample(parameters.integer("sample_size"), below: sequences.isEmpty ? data.rows : ends.count) {
            let rows = sequences.isEmpty ? [chosen] : Array(sequences[ends[chosen].sequence][ends[chosen].end - length..<ends[chosen].end])
            for row in rows { sample.append(contentsOf: data.values[row * data.columns..<(row + 1) * data.columns]) }
        }
        progress(1)
        return RandomCutForest(
            columns: data.columns, trees: parameters.integer("trees"), length: length, horizon: parameters.integer("horizon"), seed: seed,
            sample: sample)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        var shingle = ScoringScratch.lend(&scratch.numbers, width)
        for row in 0..<scores.count {
            // Without a history the row stands as if it had lasted for the whole shingle.
            for index in 0..<width { shingle[index] = rows[unchecked: row * columns + index % columns] }
            scores[row] = displacement(shingle, sample, &scratch)
        }
        scratch.numbers = shingle
    }

    /// Numbers: the sample, then the last rows, oldest first. Integers: rows seen, state of the random numbers.
    public func makeState() -> DetectorState {
        DetectorState(numbers: sample + [Double](repeating: 0, count: width), integers: [0, Int64(bitPattern: seed)])
    }

    private func accepts(_ state: DetectorState) -> Bool { state.numbers.count == sample.count + width && state.integers.count == 2 }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        let isFirst = state.integers[0] == 0
        let base = sample.count
        for index in 0..<width {
            let isNewest = index >= width - columns || isFirst
            state.numbers[base + index] = isNewest ? row[unchecked: index % columns] : state.numbers[base + index + columns]
        }
        state.integers[0] = 1
        var shingle = ScoringScratch.lend(&scratch.numbers, width)
        for index in 0..<width { shingle[index] = state.numbers[base + index] }
        let score = displacement(shingle, state.numbers, &scratch)
        scratch.numbers = shingle
        return score
    }

    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {
        guard accepts(state) else { return }
        var random = SplitMix64(seed: UInt64(bitPattern: state.integers[1]))
        if random.unit() * Double(horizon) < Double(size) {
            let place = random.below(size) * width
            for index in 0..<width { state.numbers[place + index] = state.numbers[sample.count + index] }
        }
        state.integers[1] = Int64(bitPattern: random.next())
    }

    /// Points that one tree sees at most: trees take turns at every n-th point of a larger sample, as each tree of the paper has a sample of
    /// its own, and cost falls in proportion.
    static let treePoints = 64

    /// The mean over trees; `points` begins with the sample. Every tree has its own fixed random numbers, so that equal rows score equally.
    private func displacement(_ shingle: [Double], _ points: [Double], _ scratch: inout ScoringScratch) -> Double {
        let (size, width) = (size, width)
        // Rows of floats, filled up with zeros to whole vectors: the sample, the shingle, the lowest and highest of each turn and of one tree.
        let stride = (width + 7) / 8 * 8
        let turns = max(1, size / Self.treePoints)
        scratch.reserve(indexes: size)
        scratch.reserve(floats: (size + 1 + 2 * turns + 2) * stride)
        var sum = 0.0
        points.withUnsafeBufferPointer { points in
            scratch.indexes.withUnsafeMutableBufferPointer { live in
                scratch.floats.withUnsafeMutableBufferPointer { floats in
                    guard let rows = floats.baseAddress, let live = live.baseAddress else { return }
                    let query = rows + size * stride
                    for row in 0..<size {
                        for index in 0..<width { rows[row * stride + index] = Float(points[row * width + index]) }
                        for index in width..<stride { rows[row * stride + index] = 0 }
                    }
                    for index in 0..<stride { query[index] = index < width ? Float(shingle[index]) : 0 }
                    let boxes = query + stride
                    let work = CutWork(
                        rows: rows, query: query, live: live, box: boxes + 2 * turns * stride, stride: stride, width: width)
                    for turn in 0..<turns {
                        work.box(of: work.take(from: turn, by: turns, below: size), into: boxes + 2 * turn * stride)
                    }
                    for tree in 0..<trees {
                        var random = SplitMix64(seed: seed &+ UInt64(tree) &* 0x9E37_79B9)
                        let count = work.take(from: tree % turns, by: turns, below: size)
                        sum += work.descend(count, from: boxes + 2 * (tree % turns) * stride, &random)
                    }
                }
            }
        }
        return sum / Double(trees)
    }

    /// The middle of the training rows: `Preprocessing` has put it at zero.
    public func expected(for row: [Double]) -> [Double] { row.map { _ in 0 } }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        for value in [columns, trees, length, horizon] { writer.write(UInt32(clamping: value)) }
        writer.write(seed)
        writer.write(sample)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "random cut forest")
        let columns = Int(try reader.uint32())
        let trees = Int(try reader.uint32())
        let length = Int(try reader.uint32())
        let horizon = Int(try reader.uint32())
        let seed = try reader.uint64()
        let sample = try reader.doubles()
        guard columns > 0, columns <= 1 << 20, (1...500).contains(trees), (1...64).contains(length), horizon > 0, !sample.isEmpty,
            sample.count.isMultiple(of: columns * length), sample.count / (columns * length) <= 2048, sample.allSatisfy({ abs($0) < 1e30 })
        else { throw reader.damaged("a sample does not fit its shape") }
        self.init(columns: columns, trees: trees, length: length, horizon: horizon, seed: seed, sample: sample)
    }

    private init(columns: Int, trees: Int, length: Int, horizon: Int, seed: UInt64, sample: [Double]) {
        self.columns = columns
        self.trees = trees
        self.length = length
        self.horizon = horizon
        self.seed = seed
        self.sample = sample
    }
}

/// One tree's way down, from its points alone: memory of `displacement`.
private struct CutWork {
    /// `[point × stride]`.
    let rows: UnsafePointer<Float>
    let query: UnsafePointer<Float>
    /// Points that are still with the query.
    let live: UnsafeMutablePointer<Int32>
    /// Lowest, then highest values of those and the query.
    let box: UnsafeMutablePointer<Float>
    let stride: Int
    let width: Int

    init(
        rows: UnsafeMutablePointer<Float>, query: UnsafeMutablePointer<Float>, live: UnsafeMutablePointer<Int32>,
        box: UnsafeMutablePointer<Float>, stride: Int, width: Int
    ) {
        self.rows = UnsafePointer(rows)
        self.query = UnsafePointer(query)
        self.live = live
        self.box = box
        self.stride = stride
        self.width = width
    }

    /// Every `step`-th point from `first` on.
    func take(from first: Int, by step: Int, below size: Int) -> Int {
        var (count, point) = (0, first)
        while point < size {
            live[count] = Int32(truncatingIfNeeded: point)
            count += 1
            point += step
        }
        return count
    }

    /// The box of the first `count` live points and the query.
    @inline(__always)
    func box(of count: Int, into box: UnsafeMutablePointer<Float>) {
        var column = 0
        while column < stride {
            var low = UnsafeRawPointer(query + column).loadUnaligned(as: SIMD8<Float>.self)
            var high = low
            for place in 0..<count {
                let value = UnsafeRawPointer(rows + Int(live[place]) * stride + column).loadUnaligned(as: SIMD8<Float>.self)
                low.replace(with: value, where: value .< low)
                high.replace(with: value, where: value .> high)
            }
            UnsafeMutableRawPointer(box + column).storeBytes(of: low, as: SIMD8<Float>.self)
            UnsafeMutableRawPointer(box + stride + column).storeBytes(of: high, as: SIMD8<Float>.self)
            column += 8
        }
    }

    /// Cuts until the query stands alone or among its equals; the greatest displacement on the way.
    func descend(_ points: Int, from first: UnsafePointer<Float>, _ random: inout SplitMix64) -> Double {
        var count = points
        box.update(from: first, count: 2 * stride)
        var greatest = 0.0
        while count > 0 {
            var total: Float = 0
            for index in 0..<width { total += box[stride + index] - box[index] }
            guard total > 0, total.isFinite else { break }
            var place = Float(random.unit()) * total
            var dimension = 0
            while dimension < width - 1, place >= box[stride + dimension] - box[dimension] {
                place -= box[stride + dimension] - box[dimension]
                dimension += 1
            }
            let cut = box[dimension] + place
            let isLeft = query[dimension] <= cut
            var kept = 0
            for index in 0..<count {
                let point = live[index]
                live[kept] = point
                kept += (rows[Int(point) * stride + dimension] <= cut) == isLeft ? 1 : 0
            }
            greatest = max(greatest, Double(count - kept) / Double(kept + 1))
            // Rounding may leave a cut at the very edge, which separates nothing; the next draw will not.
            count = kept
            if count > 0 { box(of: count, into: box) }
        }
        return greatest
    }
}
