import Glibc
import Text

/// One-class support vector machine with a Gaussian kernel: a smooth border around most of the training rows.
///
/// Schölkopf, Platt, Shawe-Taylor, Smola and Williamson, "Estimating the Support of a High-Dimensional Distribution", Neural Computation
/// 2001. Solved by sequential minimal optimisation with second-order choice of the pair (Fan, Chen and Lin, JMLR 2005). Raw score: the
/// negative decision value, above zero outside the border; higher = more anomalous.
public struct OneClassSVM: Detector {
    public static let kind = DetectorKind.ocsvm

    public static let card = DetectorCard(
        summary: "One-class SVM (Gaussian kernel): a smooth border around most of the training rows.",
        assumptions: "Scaled features of similar importance; at most a share nu of the training rows is anomalous.",
        cost: "Fit between O(rows²) and O(rows³) of small constants; score O(support vectors × features), at least nu × rows of them.",
        source: "Schölkopf, Platt, Shawe-Taylor, Smola and Williamson, Estimating the Support of a High-Dimensional Distribution, 2001.",
        parameters: [
            ParameterSpec(
                "nu", .number(0.001...1), default: .number(0.05), "Upper bound on the share of training rows outside the border."),
            ParameterSpec(
                "gamma", .number(0...1e6), default: .number(0), "Kernel width: exp(-gamma × distance²); 0 for 1 / (features × variance)."),
            ParameterSpec(
                "reference_rows", .integer(10...200_000), default: .integer(30_000), "Training rows used, a seeded sample of all."),
        ])

    public let columns: Int
    /// The border's offset.
    let offset: Double
    private let support: FeatureMatrix
    private let blocks: KernelBlocks
    /// Weight of each support vector, eight for each block.
    private let weights: [Float]

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> OneClassSVM {
        guard data.rows >= 2 else { throw DetectorError(.data, "A one-class SVM needs at least two training rows.") }
        var rows = data
        let limit = parameters.integer("reference_rows")
        if data.rows > limit {
            var random = SplitMix64(seed: seed)
            rows = data.selecting(rows: random.sample(limit, below: data.rows).sorted())
        }
        var gamma = parameters.number("gamma")
        if gamma == 0 {
            let (_, deviation) = moments(rows.values)
            gamma = 1 / (Double(rows.columns) * max(deviation * deviation, 1e-12))
        }
        let (weights, offset) = OneClassSolver(rows, gamma: gamma, nu: parameters.number("nu")).solve(progress: progress)
        let kept = weights.indices.filter { weights[$0] > 0 }
        return OneClassSVM(support: rows.selecting(rows: kept), weights: kept.map { weights[$0] }, offset: offset, gamma: gamma)
    }

    private init(support: FeatureMatrix, weights: [Float], offset: Double, gamma: Double) {
        columns = support.columns
        self.support = support
        self.offset = offset
        blocks = KernelBlocks(support, gamma: gamma)
        self.weights = weights + [Float](repeating: 0, count: blocks.blocks * 8 - weights.count)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        scratch.reserve(floats: columns)
        scratch.floats.withUnsafeMutableBufferPointer { floats in
            weights.withUnsafeBufferPointer { weights in
                guard let query = floats.baseAddress, let weights = weights.baseAddress else { return }
                for row in 0..<scores.count {
                    for column in 0..<columns { query[column] = Float(rows[unchecked: row * columns + column]) }
                    scores[row] = offset - blocks.weightedSum(query, weights)
                }
            }
        }
    }

    /// The middle of the training rows: `Preprocessing` has put it at zero.
    public func expected(for row: [Double]) -> [Double] { row.map { _ in 0 } }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: columns))
        writer.write(Double(blocks.gamma))
        writer.write(offset)
        writer.write(Array(weights[..<support.rows]))
        writer.write(support.values.map { Float($0) })
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "one-class SVM")
        let columns = Int(try reader.uint32())
        let gamma = try reader.finite()
        let offset = try reader.finite()
        let weights = try reader.floats()
        let values = try reader.floats()
        guard columns > 0, columns <= 1 << 20, gamma > 0, !weights.isEmpty, values.count == weights.count * columns,
            weights.allSatisfy({ $0.isFinite }), values.allSatisfy({ $0.isFinite })
        else { throw reader.damaged("support vectors do not fit their shape") }
        self.init(
            support: FeatureMatrix(values: values.map { Double($0) }, columns: columns), weights: weights, offset: offset, gamma: gamma)
    }
}

/// Minimises ½ aᵀKa under 0 ≤ a ≤ 1 and sum(a) = nu × rows.
private struct OneClassSolver {
    private let rows: FeatureMatrix
    private let blocks: KernelBlocks
    private let nu: Double
    private var kernels = KernelCache()

    static let tolerance: Float = 1e-3

    init(_ rows: FeatureMatrix, gamma: Double, nu: Double) {
        self.rows = rows
        self.nu = nu
        blocks = KernelBlocks(rows, gamma: gamma)
    }

    consuming func solve(progress: FitProgress) -> (weights: [Float], offset: Double) {
        let count = rows.rows
        let total = min(max(nu * Double(count), 1e-3), Double(count))
        var alpha = [Float](repeating: 0, count: count)
        for row in 0..<Int(total) { alpha[row] = 1 }
        if Int(total) < count { alpha[Int(total)] = Float(total - Double(Int(total))) }
        var gradient = [Float](repeating: 0, count: blocks.blocks * 8)
        for row in 0..<count where alpha[row] > 0 {
            let column = kernels.column(row, rows, blocks)
            for other in 0..<count { gradient[other] += alpha[row] * column[other] }
        }
        progress(0.3)
        var limit = 100 * count + 10_000
        while limit > 0 {
            limit -= 1
            guard let first = steepest(alpha, gradient) else { break }
            let row = kernels.column(first, rows, blocks)
            guard let second = partner(of: first, row, alpha, gradient) else { break }
            let other = kernels.column(second, rows, blocks)
            // Moves weight from `second` to `first`; the kernel of a point with itself is 1.
            let curvature = max(2 - 2 * row[second], 1e-6)
            let step = min((gradient[second] - gradient[first]) / curvature, 1 - alpha[first], alpha[second])
            alpha[first] += step
            alpha[second] -= step
            for index in 0..<count { gradient[index] += step * (row[index] - other[index]) }
        }
        progress(1)
        return (alpha, offset(alpha, gradient))
    }

    /// The row whose weight most wants to grow.
    private func steepest(_ alpha: [Float], _ gradient: [Float]) -> Int? {
        var best: Int?
        var least = Float.infinity
        for row in alpha.indices where alpha[row] < 1 && gradient[row] < least {
            least = gradient[row]
            best = row
        }
        return best
    }

    /// The row whose weight it should take: the pair that lowers the objective most. Nil where no pair gains more than the tolerance.
    private func partner(of first: Int, _ kernel: [Float], _ alpha: [Float], _ gradient: [Float]) -> Int? {
        let least = gradient[first]
        var best: Int?
        var gain: Float = 0
        var widest: Float = 0
        for row in alpha.indices where alpha[row] > 0 {
            let difference = gradient[row] - least
            guard difference > 0 else { continue }
            widest = max(widest, difference)
            let own = difference * difference / max(2 - 2 * kernel[row], 1e-6)
            if own > gain {
                gain = own
                best = row
            }
        }
        return widest > OneClassSolver.tolerance ? best : nil
    }

    /// The mean gradient of rows on the border, or the middle between inside and outside where none is.
    private func offset(_ alpha: [Float], _ gradient: [Float]) -> Double {
        var sum = 0.0
        var free = 0
        var low = -Double.infinity
        var high = Double.infinity
        for row in alpha.indices {
            let value = Double(gradient[row])
            if alpha[row] >= 1 {
                low = max(low, value)
            } else if alpha[row] <= 0 {
                high = min(high, value)
            } else {
                sum += value
                free += 1
            }
        }
        if free > 0 { return sum / Double(free) }
        return low.isFinite && high.isFinite ? (low + high) / 2 : low.isFinite ? low : high
    }
}

/// Recently used columns of the kernel matrix, at most 64 MB of them.
private struct KernelCache {
    private var columns: [Int: [Float]] = [:]
    private var order: [Int] = []
    private var next = 0

    mutating func column(_ row: Int, _ rows: FeatureMatrix, _ blocks: KernelBlocks) -> [Float] {
        if let known = columns[row] { return known }
        var column = [Float](repeating: 0, count: blocks.blocks * 8)
        let query = (0..<rows.columns).map { Float(rows[row, $0]) }
        query.withUnsafeBufferPointer { query in
            column.withUnsafeMutableBufferPointer { column in
                guard let query = query.baseAddress, let output = column.baseAddress else { return }
                blocks.each(query) { block, kernel in
                    UnsafeMutableRawPointer(output + block * 8).storeBytes(of: kernel, as: SIMD8<Float>.self)
                }
            }
        }
        let limit = max((64 << 20) / (4 * max(column.count, 1)), 16)
        if order.count < limit {
            order.append(row)
        } else {
            columns[order[next]] = nil
            order[next] = row
            next = (next + 1) % limit
        }
        columns[row] = column
        return column
    }
}
