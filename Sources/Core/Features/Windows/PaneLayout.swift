/// Where a pane of a window set keeps what its aggregates need, and how events are added, panes merged and results read.
///
/// A pane is a run of words in a pool: its number, its links, its events, and for each column only what some aggregate asks for.
/// Times inside a pane count from its start, so that sums of squares stay small.
final class PaneLayout: Sendable {
    enum Word {
        /// Start of the pane divided by its length.
        static let number = 0
        /// Lower half the next older pane of the entity, upper half the next newer one; 0 is none.
        static let links = 1
        static let events = 2
        static let count = 3
    }

    struct Column: Sendable {
        /// In the event program.
        var register: Int
        /// Offsets of words, or -1. `count` is always there.
        var count = -1
        var sum = -1
        /// Two words: mean, and sum of squared deviations from it (Welford).
        var moments = -1
        var minimum = -1
        var maximum = -1
        /// Two words each: time in milliseconds, value.
        var first = -1
        var last = -1
        /// Three words: mean of the time in seconds, sum of its squared deviations, sum of the products of both deviations.
        var trend = -1
        /// Ordinal among the pane's sketches of that kind, or -1.
        var quantile = -1
        var distinct = -1
    }

    let columns: [Column]
    /// Words of a pane.
    let width: Int
    let quantiles: Int
    let distincts: Int
    /// Length of a pane in milliseconds.
    let length: Int64
    /// Length of a window in seconds.
    let seconds: Double
    let outputs: [Output]

    init(_ program: WindowProgram) {
        var width = Word.count
        var quantiles = 0
        var distincts = 0
        func take(_ words: Int) -> Int {
            defer { width += words }
            return width
        }
        let columns: [Column] = program.columns.enumerated().map { index, register in
            let kinds = Set(program.aggregates.filter { $0.column == index }.map(\.kind))
            func wants(_ any: Aggregate...) -> Bool { any.contains(where: kinds.contains) }
            var column = Column(register: register)
            column.count = take(1)
            if wants(.sum, .rate) || (wants(.mean) && !wants(.std, .slope)) { column.sum = take(1) }
            if wants(.std, .slope) { column.moments = take(2) }
            if wants(.min, .range) { column.minimum = take(1) }
            if wants(.max, .range) { column.maximum = take(1) }
            if wants(.first) { column.first = take(2) }
            if wants(.last) { column.last = take(2) }
            if wants(.slope) { column.trend = take(3) }
            if wants(.quantile, .median) {
                column.quantile = quantiles
                quantiles += 1
            }
            if wants(.distinct) {
                column.distinct = distincts
                distincts += 1
            }
            return column
        }
        self.columns = columns
        outputs = zip(program.aggregates, program.targets).compactMap { Output($0, $1, columns) }
        seconds = Double(program.length) / 1000
        self.width = width
        self.quantiles = quantiles
        self.distincts = distincts
        var (a, b) = (program.length, program.slide)
        while b != 0 { (a, b) = (b, a % b) }
        length = a
    }

    /// Takes an event into a pane. About 2 ns per word that the column keeps; sketches are the pool's.
    @inline(__always)
    func add(_ words: UnsafeMutablePointer<UInt64>, _ registers: UnsafePointer<Double>, _ time: Int64) {
        words[Word.events] &+= 1
        columns.withUnsafeBufferPointer { columns in
            for column in columns {
                let x = registers[column.register]
                if x.isNaN { continue }
                words[column.count] &+= 1
                let n = words[column.count]
                let isFirst = n == 1
                if column.sum >= 0 { words[column.sum] = (isFirst ? x : get(words, column.sum) + x).bitPattern }
                if column.moments >= 0 { addMoments(words, column, x, Double(n), time) }
                if column.minimum >= 0, isFirst || x < get(words, column.minimum) { words[column.minimum] = x.bitPattern }
                if column.maximum >= 0, isFirst || x > get(words, column.maximum) { words[column.maximum] = x.bitPattern }
                if column.first >= 0, isFirst || time < Int64(bitPattern: words[column.first]) {
                    words[column.first] = UInt64(bitPattern: time)
                    words[column.first + 1] = x.bitPattern
                }
                if column.last >= 0, isFirst || time >= Int64(bitPattern: words[column.last]) {
                    words[column.last] = UInt64(bitPattern: time)
                    words[column.last + 1] = x.bitPattern
                }
            }
        }
    }

    @inline(__always)
    private func get(_ words: UnsafeMutablePointer<UInt64>, _ at: Int) -> Double { Double(bitPattern: words[at]) }

    @inline(__always)
    private func addMoments(_ words: UnsafeMutablePointer<UInt64>, _ column: Column, _ x: Double, _ n: Double, _ time: Int64) {
        let at = column.moments
        let part = 1 / n
        let mean = n == 1 ? 0 : get(words, at)
        let squares = n == 1 ? 0 : get(words, at + 1)
        let deviation = x - mean
        let newMean = mean + deviation * part
        words[at] = newMean.bitPattern
        words[at + 1] = (squares + deviation * (x - newMean)).bitPattern
        guard column.trend >= 0 else { return }
        let trend = column.trend
        let start = Int64(bitPattern: words[Word.number]) &* length
        let t = Double(time - start) / 1000
        let meanTime = n == 1 ? 0 : get(words, trend)
        let timeDeviation = t - meanTime
        let newMeanTime = meanTime + timeDeviation * part
        words[trend] = newMeanTime.bitPattern
        words[trend + 1] = ((n == 1 ? 0 : get(words, trend + 1)) + timeDeviation * (t - newMeanTime)).bitPattern
        words[trend + 2] = ((n == 1 ? 0 : get(words, trend + 2)) + deviation * (t - newMeanTime)).bitPattern
    }

    /// Takes a newer pane (or what was merged from newer panes) into an older one: Chan's parallel form of Welford's sums.
    func merge(_ target: UnsafeMutablePointer<UInt64>, newer source: UnsafeMutablePointer<UInt64>) {
        target[Word.events] &+= source[Word.events]
        for column in columns {
            let added = source[column.count]
            if added == 0 { continue }
            let present = target[column.count]
            target[column.count] = present &+ added
            let isFirst = present == 0
            if column.sum >= 0 {
                target[column.sum] = isFirst ? source[column.sum] : (get(target, column.sum) + get(source, column.sum)).bitPattern
            }
            if column.moments >= 0 { mergeMoments(target, source, column, Double(present), Double(added)) }
            if column.minimum >= 0, isFirst || get(source, column.minimum) < get(target, column.minimum) {
                target[column.minimum] = source[column.minimum]
            }
            if column.maximum >= 0, isFirst || get(source, column.maximum) > get(target, column.maximum) {
                target[column.maximum] = source[column.maximum]
            }
            if column.first >= 0, isFirst {
                target[column.first] = source[column.first]
                target[column.first + 1] = source[column.first + 1]
            }
            if column.last >= 0 {
                target[column.last] = source[column.last]
                target[column.last + 1] = source[column.last + 1]
            }
        }
    }

    private func mergeMoments(
        _ target: UnsafeMutablePointer<UInt64>, _ source: UnsafeMutablePointer<UInt64>, _ column: Column, _ present: Double, _ added: Double
    ) {
        let at = column.moments
        let shift = Double((Int64(bitPattern: source[Word.number]) &- Int64(bitPattern: target[Word.number])) &* length) / 1000
        guard present > 0 else {
            target[at] = source[at]
            target[at + 1] = source[at + 1]
            if column.trend >= 0 {
                target[column.trend] = (get(source, column.trend) + shift).bitPattern
                target[column.trend + 1] = source[column.trend + 1]
                target[column.trend + 2] = source[column.trend + 2]
            }
            return
        }
        let part = added / (present + added)
        let difference = get(source, at) - get(target, at)
        target[at] = (get(target, at) + difference * part).bitPattern
        target[at + 1] = (get(target, at + 1) + get(source, at + 1) + difference * difference * (present * part)).bitPattern
        guard column.trend >= 0 else { return }
        let trend = column.trend
        let timeDifference = get(source, trend) + shift - get(target, trend)
        target[trend] = (get(target, trend) + timeDifference * part).bitPattern
        let squares = timeDifference * timeDifference * (present * part)
        target[trend + 1] = (get(target, trend + 1) + get(source, trend + 1) + squares).bitPattern
        let products = timeDifference * difference * (present * part)
        target[trend + 2] = (get(target, trend + 2) + get(source, trend + 2) + products).bitPattern
    }

    /// Puts the value of every aggregate that needs no sketch into its register. About 3 ns each.
    func results(_ words: UnsafePointer<UInt64>, _ registers: UnsafeMutableBufferPointer<Double>) {
        outputs.withUnsafeBufferPointer { outputs in
            for output in outputs { registers[output.target] = result(output, words) }
        }
    }

    @inline(__always)
    private func result(_ output: Output, _ words: UnsafePointer<UInt64>) -> Double {
        let n = words[output.count]
        if output.kind == .count { return Double(n) }
        if n == 0 { return .nan }
        let first = Double(bitPattern: words[output.word])
        let value: Double
        switch output.kind {
        case .sum, .min, .max, .first, .last: value = first
        case .mean: value = output.isMoment ? first : first / Double(n)
        case .rate: value = output.isEvents ? Double(n) / seconds : first / seconds
        case .std: value = max(0, first / Double(n)).squareRoot()
        case .range: value = first - Double(bitPattern: words[output.other])
        case .slope:
            let squares = Double(bitPattern: words[output.other])
            value = squares > 0 ? first / squares : .nan
        case .count, .quantile, .median, .distinct: value = .nan
        }
        return value.isFinite ? value + 0 : .nan
    }

    /// An aggregate whose value is read from words: which, and where it goes.
    struct Output: Sendable {
        var kind: Aggregate
        /// Register of the window program.
        var target: Int
        /// Number of values, or of events.
        var count: Int
        var isEvents = false
        /// A mean that is kept as such, not as a sum.
        var isMoment = false
        var word = Word.events
        var other = Word.events

        init?(_ aggregate: WindowAggregate, _ target: Int, _ columns: [Column]) {
            kind = aggregate.kind
            self.target = target
            guard aggregate.column >= 0 else {
                count = Word.events
                isEvents = true
                return
            }
            let column = columns[aggregate.column]
            count = column.count
            switch aggregate.kind {
            case .count: break
            case .sum, .rate: word = column.sum
            case .mean:
                isMoment = column.moments >= 0
                word = isMoment ? column.moments : column.sum
            case .std: word = column.moments + 1
            case .min: word = column.minimum
            case .max: word = column.maximum
            case .range:
                word = column.maximum
                other = column.minimum
            case .first: word = column.first + 1
            case .last: word = column.last + 1
            case .slope:
                word = column.trend + 2
                other = column.trend + 1
            case .quantile, .median, .distinct: return nil
            }
        }
    }
}
