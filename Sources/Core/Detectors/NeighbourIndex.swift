/// Finds the nearest of a fixed set of points, exactly, in Euclidean distance.
///
/// In few dimensions a k-d tree (Bentley 1975) whose leaves hold up to 24 points; in many a scan, which is then faster. Points are stored
/// in the tree's order, so that a leaf is one run of memory. Distances are compared in `Float`; callers that need more recompute them.
struct NeighbourIndex: Sendable {
    let columns: Int
    /// `[point × column]` in the tree's order.
    let points: [Float]
    /// The caller's number of each stored point.
    let numbers: [Int32]
    /// Inner nodes in heap order, root at 1: the column and the value that split, as two arrays.
    private let splitColumns: [Int32]
    private let splitValues: [Float]
    /// First point of each leaf, and one more entry for the end; there are `leafCount` (a power of two).
    private let leafStarts: [Int32]
    private let leafCount: Int

    /// Beyond this many columns every leaf would be visited anyway.
    static let treeColumns = 12
    static let leafSize = 24

    var count: Int { numbers.count }

    init(_ data: FeatureMatrix) {
        columns = data.columns
        let rows = data.rows
        var order = (0..<Int32(rows)).map { $0 }
        var leaves = 1
        if data.columns <= NeighbourIndex.treeColumns {
            while rows / leaves > NeighbourIndex.leafSize { leaves *= 2 }
        }
        var columnsOf = [Int32](repeating: 0, count: leaves)
        var valuesOf = [Float](repeating: 0, count: leaves)
        var starts = [Int32](repeating: 0, count: leaves + 1)
        NeighbourIndex.build(data, &order, 1, 0..<rows, leaves, &columnsOf, &valuesOf, &starts)
        starts[leaves] = Int32(rows)
        var stored: [Float] = []
        stored.reserveCapacity(rows * data.columns)
        for row in order {
            for column in 0..<data.columns { stored.append(Float(data.values[Int(row) * data.columns + column])) }
        }
        points = stored
        numbers = order
        splitColumns = columnsOf
        splitValues = valuesOf
        leafStarts = starts
        leafCount = leaves
    }

    private static func build(
        _ data: FeatureMatrix, _ order: inout [Int32], _ node: Int, _ range: Range<Int>, _ leaves: Int, _ columns: inout [Int32],
        _ values: inout [Float], _ starts: inout [Int32]
    ) {
        guard node < leaves else {
            starts[node - leaves] = Int32(range.lowerBound)
            return
        }
        // Split the widest column at its median.
        var widest = 0
        var width = -Float.infinity
        for column in 0..<data.columns {
            var low = Float.infinity
            var high = -Float.infinity
            for position in range {
                let value = Float(data.values[Int(order[position]) * data.columns + column])
                low = min(low, value)
                high = max(high, value)
            }
            if high - low > width {
                width = high - low
                widest = column
            }
        }
        let column = widest
        // Equal values are ordered by number, so that the order is the same on every run.
        order[range].sort {
            let a = Float(data.values[Int($0) * data.columns + column])
            let b = Float(data.values[Int($1) * data.columns + column])
            return a == b ? $0 < $1 : a < b
        }
        let middle = (range.lowerBound + range.upperBound) / 2
        columns[node] = Int32(column)
        values[node] = middle < range.upperBound ? Float(data.values[Int(order[middle]) * data.columns + column]) : 0
        build(data, &order, 2 * node, range.lowerBound..<middle, leaves, &columns, &values, &starts)
        build(data, &order, 2 * node + 1, middle..<range.upperBound, leaves, &columns, &values, &starts)
    }

    /// The `k` nearest points to `query` (`columns` floats), as squared distances and positions in storage order, nearest first, in the
    /// first `k` entries of the two buffers. Leaves out the stored position `excluding` (-1 for none). Returns how many were found (fewer
    /// only where there are fewer points).
    @inline(__always)
    func nearest(
        _ query: UnsafePointer<Float>, _ k: Int, excluding: Int, _ distances: UnsafeMutablePointer<Float>,
        _ positions: UnsafeMutablePointer<Int32>
    ) -> Int {
        var found = 0
        points.withUnsafeBufferPointer { points in
            guard let base = points.baseAddress else { return }
            if leafCount == 1 {
                found = scan(base, 0..<count, query, k, excluding, distances, positions, found)
            } else {
                found = visit(base, 1, 0, query, k, excluding, distances, positions, found)
            }
        }
        return found
    }

    /// Nearer side first; the farther one only where the splitting plane is nearer than the k-th neighbour.
    private func visit(
        _ base: UnsafePointer<Float>, _ node: Int, _ gap: Float, _ query: UnsafePointer<Float>, _ k: Int, _ excluding: Int,
        _ distances: UnsafeMutablePointer<Float>, _ positions: UnsafeMutablePointer<Int32>, _ soFar: Int
    ) -> Int {
        if node >= leafCount {
            let range = Int(leafStarts[node - leafCount])..<Int(leafStarts[node - leafCount + 1])
            return scan(base, range, query, k, excluding, distances, positions, soFar)
        }
        let difference = query[Int(splitColumns[node])] - splitValues[node]
        let near = difference < 0 ? 2 * node : 2 * node + 1
        var found = visit(base, near, gap, query, k, excluding, distances, positions, soFar)
        if found < k || difference * difference <= distances[found - 1] {
            found = visit(base, near ^ 1, difference * difference, query, k, excluding, distances, positions, found)
        }
        return found
    }

    @inline(__always)
    private func scan(
        _ base: UnsafePointer<Float>, _ range: Range<Int>, _ query: UnsafePointer<Float>, _ k: Int, _ excluding: Int,
        _ distances: UnsafeMutablePointer<Float>, _ positions: UnsafeMutablePointer<Int32>, _ soFar: Int
    ) -> Int {
        var found = soFar
        var worst = found < k ? Float.infinity : distances[k - 1]
        let columns = columns
        for position in range {
            let point = base + position * columns
            var sum: Float = 0
            var column = 0
            if columns >= 8 {
                var lanes = SIMD8<Float>(repeating: 0)
                while column + 8 <= columns {
                    let a = UnsafeRawPointer(point + column).loadUnaligned(as: SIMD8<Float>.self)
                    let b = UnsafeRawPointer(query + column).loadUnaligned(as: SIMD8<Float>.self)
                    let difference = a - b
                    lanes += difference * difference
                    column += 8
                    // Most points are too far after a part of their columns already; the sum only grows.
                    if column & 31 == 0, lanes.sum() > worst { break }
                }
                sum = lanes.sum()
                if sum > worst { continue }
            }
            while column < columns {
                let difference = point[column] - query[column]
                sum += difference * difference
                column += 1
            }
            if sum < worst, position != excluding {
                // Insertion into a short sorted list.
                var place = found < k ? found : k - 1
                while place > 0, distances[place - 1] > sum {
                    distances[place] = distances[place - 1]
                    positions[place] = positions[place - 1]
                    place -= 1
                }
                distances[place] = sum
                positions[place] = Int32(truncatingIfNeeded: position)
                if found < k { found += 1 }
                if found == k { worst = distances[k - 1] }
            }
        }
        return found
    }
}
