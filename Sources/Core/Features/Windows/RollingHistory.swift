/// The last events of each entity, for aggregates that come with every event. Sets that take other events have a history of their own.
///
/// Exact: the aggregates are computed anew from the remembered values, so the cost grows with their number; of one entity about 4096
/// events (or as many as the largest `N events`) are remembered at most. Events are kept in the order of their time.
struct RollingHistory {
    static let maximumEvents = 4096

    private let aggregates: [RollingAggregate]
    private let targets: [Int]
    /// Registers whose values are kept, and per aggregate the position of its own, or -1.
    private let columns: [Int]
    private let positions: [Int]
    private let width: Int
    private let keptEvents: Int
    /// Milliseconds.
    private let keptTime: Int64
    /// Per slot its rows: time, then the columns.
    private(set) var rows: [[Double]] = []
    /// Events that were forgotten although a time span still covers them.
    var overflows: UInt64 = 0
    private var scratch: [Double] = []

    /// - Parameter group: whose aggregates it serves.
    init(_ program: EventProgram, group: Int, _ rules: EventTimeRules) {
        let own = program.rolling.indices.filter { program.rolling[$0].group == group }
        aggregates = own.map { program.rolling[$0] }
        targets = own.map { program.rollingTargets[$0] }
        var columns: [Int] = []
        positions = aggregates.map { aggregate in
            if aggregate.column < 0 { return -1 }
            if let known = columns.firstIndex(of: aggregate.column) { return known + 1 }
            columns.append(aggregate.column)
            return columns.count
        }
        self.columns = columns
        width = 1 + columns.count
        var events = 1
        var time: Int64 = 0
        for aggregate in aggregates {
            switch aggregate.span {
            case .events(let count): events = max(events, count)
            case .time(let milliseconds): time = max(time, milliseconds + rules.longestDelay)
            }
        }
        keptEvents = events
        keptTime = time
    }

    var isNeeded: Bool { !aggregates.isEmpty }

    /// Takes an event and computes every aggregate as of it. `registers` holds its columns and gets the results.
    mutating func apply(_ slot: Int, _ time: Int64, _ registers: UnsafeMutableBufferPointer<Double>) {
        while slot >= rows.count { rows.append([]) }
        let t = Double(time)
        var index = rows[slot].count / width
        while index > 0, rows[slot][(index - 1) * width] > t { index -= 1 }
        if index * width == rows[slot].count {
            rows[slot].append(t)
            for column in columns { rows[slot].append(registers[column]) }
        } else {
            rows[slot].insert(contentsOf: [t] + columns.map { registers[$0] }, at: index * width)
        }
        for i in aggregates.indices { registers[targets[i]] = result(aggregates[i], positions[i], rows[slot], index) }
        trim(slot)
    }

    private mutating func trim(_ slot: Int) {
        let count = rows[slot].count / width
        let newest = rows[slot][(count - 1) * width]
        var drop = 0
        while count - drop > keptEvents, rows[slot][drop * width] <= newest - Double(keptTime) { drop += 1 }
        let most = max(Self.maximumEvents, keptEvents)
        // Moving the rest costs its length, so it waits until enough has gathered.
        if count - drop > most + most / 4 {
            overflows += UInt64(count - drop - most)
            drop = count - most
        } else if drop * 2 <= count {
            return
        }
        rows[slot].removeFirst(drop * width)
    }

    private mutating func result(_ aggregate: RollingAggregate, _ position: Int, _ rows: [Double], _ index: Int) -> Double {
        let time = rows[index * width]
        var start = index
        var seconds: Double
        switch aggregate.span {
        case .events(let count):
            start = max(0, index + 1 - count)
            seconds = (time - rows[start * width]) / 1000
            if seconds == 0 { seconds = .nan }
        case .time(let milliseconds):
            while start > 0, rows[(start - 1) * width] > time - Double(milliseconds) { start -= 1 }
            seconds = Double(milliseconds) / 1000
        }
        let events = Double(index + 1 - start)
        if position < 0 { return aggregate.kind == .rate ? finite(events / seconds) : events }
        scratch.removeAll(keepingCapacity: true)
        switch aggregate.kind {
        case .slope: return slope(rows, position, start...index)
        case .first:
            for i in start...index where !rows[i * width + position].isNaN { return rows[i * width + position] }
            return .nan
        case .last:
            for i in (start...index).reversed() where !rows[i * width + position].isNaN { return rows[i * width + position] }
            return .nan
        case .quantile, .median, .distinct:
            for i in start...index where !rows[i * width + position].isNaN { scratch.append(rows[i * width + position]) }
            scratch.sort()
            if aggregate.kind == .distinct {
                var count = 0.0
                for i in scratch.indices where i == 0 || scratch[i] != scratch[i - 1] { count += 1 }
                return count
            }
            if scratch.isEmpty { return .nan }
            return scratch[Int((aggregate.parameter * Double(scratch.count - 1)).rounded(.down))]
        default: break
        }
        var count = 0.0
        var sum = 0.0
        var low = Double.infinity
        var high = -Double.infinity
        for i in start...index {
            let value = rows[i * width + position]
            if value.isNaN { continue }
            count += 1
            sum += value
            low = value < low ? value : low
            high = value > high ? value : high
        }
        if aggregate.kind == .count { return count }
        if count == 0 { return .nan }
        switch aggregate.kind {
        case .sum: return finite(sum)
        case .mean: return finite(sum / count)
        case .rate: return finite(sum / seconds)
        case .min: return low
        case .max: return high
        case .range: return finite(high - low)
        default: break
        }
        let mean = sum / count
        var squares = 0.0
        for i in start...index where !rows[i * width + position].isNaN {
            let deviation = rows[i * width + position] - mean
            squares += deviation * deviation
        }
        return finite((squares / count).squareRoot())
    }

    private func slope(_ rows: [Double], _ position: Int, _ range: ClosedRange<Int>) -> Double {
        let origin = rows[range.upperBound * width]
        var count = 0.0
        var meanTime = 0.0
        var mean = 0.0
        for i in range where !rows[i * width + position].isNaN {
            count += 1
            meanTime += (rows[i * width] - origin) / 1000
            mean += rows[i * width + position]
        }
        meanTime /= count
        mean /= count
        var squares = 0.0
        var products = 0.0
        for i in range where !rows[i * width + position].isNaN {
            let deviation = (rows[i * width] - origin) / 1000 - meanTime
            squares += deviation * deviation
            products += deviation * (rows[i * width + position] - mean)
        }
        return squares > 0 ? finite(products / squares) : .nan
    }

    private func finite(_ value: Double) -> Double { value.isFinite ? value : .nan }

    mutating func forget(_ slot: Int) {
        if slot < rows.count { rows[slot] = [] }
    }

    /// False when the number of values is not a whole number of rows.
    mutating func restore(_ slot: Int, _ values: [Double]) -> Bool {
        guard values.count % width == 0 else { return false }
        while slot >= rows.count { rows.append([]) }
        rows[slot] = values
        return true
    }
}
