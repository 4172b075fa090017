import Glibc
import Text

/// Local outlier factor for new rows (novelty detection): rows that lie in thinner surroundings than their neighbours do.
///
/// Breunig, Kriegel, Ng and Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000. Raw score: the factor, about 1 inside a
/// cluster of any density; or, with `measure: distance`, the logarithm of the distance to the k-th neighbour (Ramaswamy, Rastogi and Shim,
/// SIGMOD 2000), which finds clusters of anomalies only by how far they lie from the rest. Higher = more anomalous.
public struct LocalOutlierFactor: Detector {
    public static let kind = DetectorKind.lof

    public static let card = DetectorCard(
        summary: "Local outlier factor: rows in thinner surroundings than their neighbours'.",
        assumptions:
            "Distances between scaled rows mean something; the training rows are mostly normal, since clusters of anomalies pass as normal.",
        cost: "Fit O(rows log rows) in up to 12 features, O(rows²) beyond; score one search a row; keeps the training rows.",
        source: "Breunig, Kriegel, Ng and Sander, LOF, SIGMOD 2000.",
        parameters: [
            ParameterSpec("neighbours", .integer(1...500), default: .integer(20), "Neighbours that make up a row's surroundings."),
            ParameterSpec(
                "measure", .choice(["factor", "distance"]), default: .text("factor"),
                "factor: density against the neighbours' own; distance: to the k-th neighbour."),
            ParameterSpec(
                "reference_rows", .integer(10...1_000_000), default: .integer(50_000), "Training rows kept, a seeded sample of all."),
        ])

    public let columns: Int
    let neighbours: Int
    let isDistance: Bool
    private let reference: FeatureMatrix
    private let index: NeighbourIndex
    /// By stored position: distance to the k-th neighbour and local reachability density. Empty for `measure: distance`.
    private let kDistances: [Float]
    private let densities: [Float]

    /// Distances are known to about this share of a deviation; keeps densities and logarithms finite among equal rows.
    static let least: Float = 1e-10
    static let leastDistance = 1e-3

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> LocalOutlierFactor {
        guard data.rows >= 2 else { throw DetectorError(.data, "The local outlier factor needs at least two training rows.") }
        var reference = data
        let limit = parameters.integer("reference_rows")
        if data.rows > limit {
            var random = SplitMix64(seed: seed)
            reference = data.selecting(rows: random.sample(limit, below: data.rows).sorted())
        }
        return LocalOutlierFactor(
            reference: reference, neighbours: min(parameters.integer("neighbours"), reference.rows - 1),
            isDistance: parameters.text("measure") == "distance", progress: progress)
    }

    private init(reference: FeatureMatrix, neighbours: Int, isDistance: Bool, progress: FitProgress) {
        let index = NeighbourIndex(reference)
        var kDistances: [Float] = []
        var densities: [Float] = []
        if !isDistance {
            let count = index.count
            let k = neighbours
            var distances = [Float](repeating: 0, count: count * k)
            var positions = [Int32](repeating: 0, count: count * k)
            distances.withUnsafeMutableBufferPointer { distances in
                positions.withUnsafeMutableBufferPointer { positions in
                    index.points.withUnsafeBufferPointer { points in
                        guard let distances = distances.baseAddress, let positions = positions.baseAddress, let points = points.baseAddress
                        else { return }
                        for row in 0..<count {
                            _ = index.nearest(points + row * index.columns, k, excluding: row, distances + row * k, positions + row * k)
                            if row & 1023 == 1023 { progress(0.95 * Double(row) / Double(count)) }
                        }
                    }
                }
            }
            kDistances = (0..<count).map { distances[$0 * k + k - 1].squareRoot() }
            densities = (0..<count).map { row in
                var sum: Float = 0
                for entry in row * k..<(row + 1) * k { sum += max(distances[entry].squareRoot(), kDistances[Int(positions[entry])]) }
                return 1 / (sum / Float(k) + LocalOutlierFactor.least)
            }
        }
        progress(1)
        self.columns = reference.columns
        self.neighbours = neighbours
        self.isDistance = isDistance
        self.reference = reference
        self.index = index
        self.kDistances = kDistances
        self.densities = densities
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        let k = neighbours
        scratch.reserve(floats: columns + k)
        scratch.reserve(indexes: k)
        scratch.floats.withUnsafeMutableBufferPointer { floats in
            scratch.indexes.withUnsafeMutableBufferPointer { indexes in
                guard let query = floats.baseAddress, let positions = indexes.baseAddress else { return }
                let distances = query + columns
                for row in 0..<scores.count {
                    for column in 0..<columns { query[column] = Float(rows[unchecked: row * columns + column]) }
                    let found = index.nearest(query, k, excluding: -1, distances, positions)
                    scores[row] = isDistance ? distance(distances, found) : factor(distances, positions, found)
                }
            }
        }
    }

    private func distance(_ distances: UnsafePointer<Float>, _ found: Int) -> Double {
        log(Double(distances[found - 1]).squareRoot() + LocalOutlierFactor.leastDistance)
    }

    private func factor(_ distances: UnsafePointer<Float>, _ positions: UnsafePointer<Int32>, _ found: Int) -> Double {
        var reach: Float = 0
        var density: Float = 0
        for entry in 0..<found {
            let position = Int(positions[entry])
            reach += max(distances[entry].squareRoot(), kDistances[position])
            density += densities[position]
        }
        let own = 1 / (reach / Float(found) + LocalOutlierFactor.least)
        return Double(density / Float(found)) / Double(own)
    }

    /// The middle of the nearest training rows.
    public func expected(for row: [Double]) -> [Double] {
        let k = neighbours
        var distances = [Float](repeating: 0, count: k)
        var positions = [Int32](repeating: 0, count: k)
        // The culprit must not choose the neighbours: each feature's value comes from the rows that are near in the others.
        return row.indices.map { column in
            var values: [Double] = []
            var query = row.map { Float($0) }
            // Two passes: neighbours of the row with this feature replaced by what its first neighbours have.
            for _ in 0..<2 {
                let found = query.withUnsafeBufferPointer { query in
                    distances.withUnsafeMutableBufferPointer { distances in
                        positions.withUnsafeMutableBufferPointer { positions in
                            guard let query = query.baseAddress, let distances = distances.baseAddress,
                                let positions = positions.baseAddress
                            else { return 0 }
                            return index.nearest(query, k, excluding: -1, distances, positions)
                        }
                    }
                }
                values = positions[..<found].map { Double(index.points[Int($0) * columns + column]) }
                query[column] = Float(median(values))
            }
            return median(values)
        }
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: columns))
        writer.write(UInt32(clamping: neighbours))
        writer.write(isDistance)
        writer.write(reference.values.map { Float($0) })
    }

    /// Keeps the rows only; surroundings are computed again, so that stored bytes cannot contradict each other.
    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "local outlier factor")
        let columns = Int(try reader.uint32())
        let neighbours = Int(try reader.uint32())
        let isDistance = try reader.flag()
        let values = try reader.floats()
        guard columns > 0, values.count.isMultiple(of: columns), values.allSatisfy(\.isFinite), neighbours > 0, neighbours <= 500,
            neighbours < values.count / columns
        else { throw reader.damaged("the stored rows do not fit their shape") }
        self.init(
            reference: FeatureMatrix(values: values.map { Double($0) }, columns: columns), neighbours: neighbours, isDistance: isDistance
        ) { _ in }
    }
}
