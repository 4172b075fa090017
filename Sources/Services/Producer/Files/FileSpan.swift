/// How far the times of a file have to move for the next pass to follow the last row as closely as its rows follow each other.
enum FileSpan {
    /// Gaps looked at for the median: enough for a stable one, and a bound on memory.
    private static let maximumGaps = 100_000

    /// Reads the file once. Cost: one pass over the file.
    /// - Returns: its span (newest minus oldest event time) plus one median gap, at least 1 ms.
    static func measure(_ rows: some RowReader, key: RowKey, path: String) throws -> Int64 {
        var (oldest, newest) = (Int64.max, Int64.min)
        var gaps: [Int64] = []
        var previous: Int64?
        while let row = try rows.next() {
            guard case .event = row else { continue }
            key.read(rows.bytes, rows.fields)
            guard key.hasTime else { continue }
            let time = key.eventTime
            oldest = min(oldest, time)
            newest = max(newest, time)
            if let previous, gaps.count < maximumGaps { gaps.append(abs(time - previous)) }
            previous = time
        }
        guard newest >= oldest else { throw SourceError("\(path): No row of the file has a usable time, so --loop cannot move it on.") }
        gaps.sort()
        let median = gaps.isEmpty ? 1_000 : gaps[gaps.count / 2]
        return newest - oldest + max(1, median)
    }
}
