import Glibc
import Text

/// k-means on sub-sequences: the last rows of an entity, as one point, against the nearest of the shapes that its past consists of.
///
/// Yairi, Kato and Hori, "Fault Detection by Mining Association Rules from House-keeping Data", 2001, and the k-means baseline of TSB-AD
/// (Liu and Paparrizos, NeurIPS 2024). Centres by Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii, SODA 2007). Raw score:
/// distance to the nearest centre; higher = more anomalous. A row without a history stands as if it had lasted for the whole sub-sequence.
public struct SubsequenceMeans: StreamingDetector {
    public static let kind = DetectorKind.kmeans

    public static let card = DetectorCard(
        summary: "k-means on sub-sequences: the last rows against the nearest of the usual shapes.",
        assumptions: "Rows come at steady intervals; normal sub-sequences repeat a limited number of shapes.",
        cost: "Fit O(rows × clusters × length × features) a round; score O(clusters × length × features).",
        source: "Liu and Paparrizos, The Elephant in the Room: TSB-AD, NeurIPS 2024.",
        parameters: [
            ParameterSpec("clusters", .integer(1...500), default: .integer(20), "Number of usual shapes."),
            ParameterSpec("length", .integer(1...200), default: .integer(10), "Rows in a sub-sequence; 1 without a known order."),
        ])

    public let columns: Int
    let length: Int
    /// `[cluster × (row × column)]`.
    let centers: [Double]

    private var width: Int { length * columns }

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> SubsequenceMeans {
        guard data.rows >= 2 else { throw DetectorError(.data, "k-means needs at least two training rows.") }
        // Rows without an order have no neighbours in time.
        let sequences = order?.sequences() ?? []
        let longest = sequences.map(\.count).max() ?? 1
        let length = min(parameters.integer("length"), max(longest / 4, 1))
        let columns = data.columns
        var points = FeatureMatrix(columns: length * columns)
        if sequences.isEmpty {
            points = data
        } else {
            for sequence in sequences where sequence.count >= length {
                for end in length...sequence.count {
                    for row in sequence[end - length..<end] {
                        points.values.append(contentsOf: data.values[row * columns..<(row + 1) * columns])
                    }
                }
            }
        }
        var random = SplitMix64(seed: seed)
        // Twenty thousand sub-sequences place twenty centres as well as all do.
        if points.rows > 20_000 { points = points.selecting(rows: random.sample(20_000, below: points.rows).sorted()) }
        let count = min(parameters.integer("clusters"), points.rows)
        var centers = seeds(points, count: count, random: &random)
        let rounds = 15
        for round in 0..<rounds {
            let moved = improve(&centers, points)
            progress(Double(round + 1) / Double(rounds))
            if !moved { break }
        }
        progress(1)
        return SubsequenceMeans(columns: columns, length: length, centers: centers)
    }

    /// k-means++: each next centre is a point drawn in proportion to its squared distance from the centres so far.
    private static func seeds(_ points: FeatureMatrix, count: Int, random: inout SplitMix64) -> [Double] {
        var centers = points.row(random.below(points.rows))
        var distances = [Double](repeating: .infinity, count: points.rows)
        let width = points.columns
        for number in 1..<max(count, 1) {
            var total = 0.0
            for row in 0..<points.rows {
                var sum = 0.0
                for index in 0..<width {
                    let difference = points.values[row * width + index] - centers[(number - 1) * width + index]
                    sum += difference * difference
                }
                distances[row] = min(distances[row], sum)
                total += distances[row]
            }
            var place = random.unit() * total
            var chosen = points.rows - 1
            for row in 0..<points.rows {
                place -= distances[row]
                if place < 0 {
                    chosen = row
                    break
                }
            }
            centers.append(contentsOf: points.row(chosen))
        }
        return centers
    }

    /// One round of Lloyd's algorithm; a centre without points stays. Returns whether any moved by more than a thousandth.
    private static func improve(_ centers: inout [Double], _ points: FeatureMatrix) -> Bool {
        let width = points.columns
        let count = centers.count / width
        var sums = [Double](repeating: 0, count: centers.count)
        var sizes = [Double](repeating: 0, count: count)
        for row in 0..<points.rows {
            let nearest = points.values.withUnsafeBufferPointer { values -> Int in
                Self.nearest(values.baseAddress.map { $0 + row * width }, centers, width).index
            }
            sizes[nearest] += 1
            for index in 0..<width { sums[nearest * width + index] += points.values[row * width + index] }
        }
        var moved = false
        for index in centers.indices where sizes[index / width] > 0 {
            let value = sums[index] / sizes[index / width]
            if abs(value - centers[index]) > 1e-3 { moved = true }
            centers[index] = value
        }
        return moved
    }

    @inline(__always)
    private static func nearest(_ point: UnsafePointer<Double>?, _ centers: [Double], _ width: Int) -> (index: Int, distance: Double) {
        var best = 0
        var least = Double.infinity
        guard let point else { return (0, 0) }
        for center in 0..<centers.count / width {
            var sum = 0.0
            for index in 0..<width {
                let difference = point[index] - centers[center * width + index]
                sum += difference * difference
            }
            if sum < least {
                least = sum
                best = center
            }
        }
        return (best, least)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        scratch.reserve(numbers: width)
        scratch.numbers.withUnsafeMutableBufferPointer { point in
            for row in 0..<scores.count {
                for index in 0..<width { point[index] = rows[unchecked: row * columns + index % columns] }
                scores[row] = SubsequenceMeans.nearest(point.baseAddress, centers, width).distance.squareRoot()
            }
        }
    }

    /// Numbers: the last rows, oldest first. Integers: rows seen.
    public func makeState() -> DetectorState { DetectorState(numbers: [Double](repeating: 0, count: width), integers: [0]) }

    private func accepts(_ state: DetectorState) -> Bool { state.numbers.count == width && state.integers.count == 1 }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        let isFirst = state.integers[0] == 0
        for index in 0..<width {
            if index >= width - columns || isFirst {
                state.numbers[index] = row[unchecked: index % columns]
            } else {
                state.numbers[index] = state.numbers[index + columns]
            }
        }
        state.integers[0] = 1
        return state.numbers.withUnsafeBufferPointer { SubsequenceMeans.nearest($0.baseAddress, centers, width).distance.squareRoot() }
    }

    /// The last row of the nearest shape.
    public func expected(for row: [Double]) -> [Double] {
        // The culprit must not choose the shape: for each feature the nearest in the others.
        row.indices.map { column in
            var best = 0
            var least = Double.infinity
            for center in 0..<centers.count / width {
                var sum = 0.0
                for index in 0..<width where index % columns != column {
                    let difference = row[index % columns] - centers[center * width + index]
                    sum += difference * difference
                }
                if sum < least {
                    least = sum
                    best = center
                }
            }
            return centers[best * width + width - columns + column]
        }
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: columns))
        writer.write(UInt32(clamping: length))
        writer.write(centers)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "k-means")
        let columns = Int(try reader.uint32())
        let length = Int(try reader.uint32())
        let centers = try reader.doubles()
        guard columns > 0, columns <= 1 << 20, (1...200).contains(length), !centers.isEmpty, centers.count.isMultiple(of: columns * length),
            centers.allSatisfy({ $0.isFinite })
        else { throw reader.damaged("centres do not fit their shape") }
        self.init(columns: columns, length: length, centers: centers)
    }

    private init(columns: Int, length: Int, centers: [Double]) {
        self.columns = columns
        self.length = length
        self.centers = centers
    }
}
