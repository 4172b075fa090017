/// The left matrix profile of a stream on several windows: how far the last rows are from the nearest of what came before.
///
/// Yeh et al., "Matrix profile I", ICDM 2016; only the past counts, as in Lu et al., "DAMP", KDD 2022. A window is the last m rows less
/// their mean; its distance is Euclid's, and the mean over the nearest few windows of the past counts. Windows are not divided by their
/// deviation: an unusual amplitude is an anomaly too, and a flat stretch has none to divide by. Every distance is measured in the one that
/// is usual for its window lately, and the longest counts.
///
/// A row costs O(windows × history), whatever the windows' lengths: for each lag the sum of products over the window is kept up to date.
/// Memory is as much. What it says of a row never depends on later rows.
struct MatrixProfile {
    let columns: Int
    /// Rows that are only learnt from: they set the scale of each column.
    let span: Int
    /// What has come so far, unscaled, until the probation is over.
    private var probation: [Double] = []
    private var centers: [Double] = []
    private var factors: [Double] = []
    private var scaled: [Double]
    private var past: ProfilePast
    private var windows: [ProfileWindow]

    init(columns: Int, span: Int, windows: [Int] = Tuning.Stream.windows, history: Int = Tuning.Stream.history) {
        self.columns = columns
        self.span = span
        // Wide rows have fewer examples, so that the cost of a row is bounded.
        let history = max(history / columns, min(history, 512))
        scaled = [Double](repeating: 0, count: columns)
        let longest = windows.max() ?? 1
        let past = ProfilePast(columns: columns, reach: history + Tuning.Stream.adaptAfter + 2 * longest + 1, before: longest)
        self.past = past
        self.windows = windows.map { ProfileWindow(length: $0, history: history, past: past) }
    }

    /// Takes in a row of numbers and says how surprising the rows up to it are: 0 in the probation; 1 is a distance that one row in ten
    /// exceeds, s one that 0.1^s of them would.
    mutating func surprise(_ row: Span<Double>) -> Double {
        guard past.count >= span else {
            for column in 0..<columns { probation.append(row[column]) }
            if probation.count == span * columns { replay() }
            return 0
        }
        take(row)
        return judge()
    }

    /// The probation is over: its scale is known, and its rows are the first of the past.
    private mutating func replay() {
        let rows = FeatureMatrix(values: probation, columns: columns)
        for column in 0..<columns {
            let values = rows.column(column)
            let middle = median(values)
            let deviation = moments(values).deviation
            centers.append(middle)
            // A constant has no scale of its own: a thousandth of its size is then a whole deviation.
            factors.append(1 / (deviation > 1e-9 * abs(middle) ? deviation : max(abs(middle), 1) * 1e-3))
        }
        probation = []
        for row in 0..<span {
            take(rows.values.span.extracting(row * columns..<(row + 1) * columns))
            // The first distances are long for want of examples.
            if row >= span / 3 { _ = judge() }
        }
    }

    private mutating func take(_ row: Span<Double>) {
        // Squares of what lies still further out would drown all else in rounding.
        for column in 0..<columns { scaled[column] = min(max((row[column] - centers[column]) * factors[column], -1e6), 1e6) }
        let hasMoved = past.append(scaled)
        for index in windows.indices { windows[index].update(past, hasMoved: hasMoved) }
    }

    /// The longest distance, each in its window's unit.
    private mutating func judge() -> Double {
        var longest = 0.0
        for index in windows.indices {
            guard let distance = windows[index].distance(past) else { continue }
            if past.count > span {
                if (past.count - span) % 128 == 1 || windows[index].unit == 0 { windows[index].renewUnit() }
                longest = max(longest, distance / windows[index].unit)
            }
            windows[index].note(distance)
        }
        return longest
    }
}

/// The rows within reach, scaled, the newest first.
private struct ProfilePast {
    let columns: Int
    /// Rows that are kept at least.
    let reach: Int
    /// Twice the reach, so that rows move only once in a while.
    let capacity: Int
    /// `[column × capacity]`.
    private(set) var values: [Double]
    /// Where the newest row stands in each column.
    private(set) var head: Int
    /// Rows that ever came.
    private(set) var count = 0

    /// `before`: rows of zeros that stand before the first row.
    init(columns: Int, reach: Int, before: Int) {
        self.columns = columns
        self.reach = reach
        capacity = 2 * reach
        head = capacity - before
        values = [Double](repeating: 0, count: capacity * columns)
    }

    /// Says whether the rows have moved in their storage by `capacity - reach`.
    mutating func append(_ row: [Double]) -> Bool {
        let hasMoved = head == 0
        if hasMoved {
            for column in 0..<columns { move(&values, from: column * capacity) }
            head = capacity - reach
        }
        head -= 1
        count += 1
        for column in 0..<columns { values[column * capacity + head] = row[column] }
        return hasMoved
    }

    /// Moves the newest rows to the end of a column.
    func move(_ numbers: inout [Double], from base: Int) {
        let distance = capacity - reach
        for row in stride(from: reach - 1, through: 0, by: -1) { numbers[base + distance + row] = numbers[base + row] }
    }
}

/// What is kept for one length of window.
private struct ProfileWindow {
    let length: Int
    let history: Int
    /// Sum of products of the newest window with the one a lag before, for each lag from the first that may be an example.
    private var products: [Double]
    /// Mean of the window that ends at each row, laid out like the rows, and its variance, summed over columns.
    private var means: [Double]
    private var variances: [Double]
    /// Distances of late, a ring.
    private var usual: [Double] = []
    private var place = 0
    /// Working memory: a squared distance for each lag.
    private var squares: [Double]
    /// The distance that counts as one; 0 while unknown.
    private(set) var unit = 0.0

    init(length: Int, history: Int, past: ProfilePast) {
        self.length = length
        self.history = history
        products = [Double](repeating: 0, count: history)
        squares = products
        means = [Double](repeating: 0, count: past.capacity * past.columns)
        variances = [Double](repeating: 0, count: past.capacity)
    }

    /// Only this far back a window may be an example.
    private var firstLag: Int { Tuning.Stream.adaptAfter + length }

    /// Brings means, variances and products up to date with the newest row.
    mutating func update(_ past: ProfilePast, hasMoved: Bool) {
        if hasMoved {
            for column in 0..<past.columns { past.move(&means, from: column * past.capacity) }
            past.move(&variances, from: 0)
        }
        var variance = 0.0
        for column in 0..<past.columns {
            let newest = column * past.capacity + past.head
            var (sum, squares) = (0.0, 0.0)
            for row in newest..<newest + min(length, past.count) {
                sum += past.values[row]
                squares += past.values[row] * past.values[row]
            }
            let mean = sum / Double(length)
            means[newest] = mean
            variance += max(squares / Double(length) - mean * mean, 0)
        }
        variances[past.head] = variance
        let lags = min(past.count - firstLag, history)
        guard lags > 0 else { return }
        // Summed anew once in a while, so that errors of rounding never add up.
        if past.count % 4096 == 0 { sumProducts(past, lags: lags) } else { renewProducts(past, lags: lags) }
    }

    /// The newest product comes in, that of the row which leaves the window goes.
    private mutating func renewProducts(_ past: ProfilePast, lags: Int) {
        for column in 0..<past.columns {
            let newest = column * past.capacity + past.head
            let added = past.values[newest]
            let removed = past.count > length ? past.values[newest + length] : 0
            let first = newest + firstLag
            past.values.withUnsafeBufferPointer { values in
                products.withUnsafeMutableBufferPointer { products in
                    for lag in 0..<lags { products[lag] += added * values[first + lag] - removed * values[first + lag + length] }
                }
            }
        }
    }

    private mutating func sumProducts(_ past: ProfilePast, lags: Int) {
        for lag in 0..<lags {
            var sum = 0.0
            for column in 0..<past.columns {
                let newest = column * past.capacity + past.head
                let example = newest + firstLag + lag
                for row in 0..<min(length, past.count - firstLag - lag) { sum += past.values[newest + row] * past.values[example + row] }
            }
            products[lag] = sum
        }
    }

    /// Mean distance to the nearest examples, per row of the window; nil while there are none.
    mutating func distance(_ past: ProfilePast) -> Double? {
        let examples = min(past.count - firstLag - length + 1, history)
        guard examples > 0 else { return nil }
        measure(past, examples: examples)
        var nearest = [Double](repeating: .infinity, count: Tuning.Stream.neighbours)
        squares.withUnsafeBufferPointer { squares in
            let last = nearest.count - 1
            var start = 0
            while start < examples {
                let end = min(start + 16, examples)
                // A new nearest one is rare: sixteen at a time are looked at together.
                var least = Double.infinity
                for lag in start..<end { least = squares[lag] < least ? squares[lag] : least }
                if least < nearest[last] {
                    for lag in start..<end where squares[lag] < nearest[last] {
                        var place = last
                        while place > 0, nearest[place - 1] > squares[lag] {
                            nearest[place] = nearest[place - 1]
                            place -= 1
                        }
                        nearest[place] = squares[lag]
                    }
                }
                start = end
            }
        }
        var (sum, known) = (0.0, 0)
        for square in nearest where square < .infinity {
            sum += max(square + variances[past.head], 0).squareRoot()
            known += 1
        }
        return sum / Double(known)
    }

    /// Squared distances per row, less the newest window's variance: |a - b|² = var a + var b - 2 (a·b / m - mean a × mean b).
    private mutating func measure(_ past: ProfilePast, examples: Int) {
        let example = past.head + firstLag
        let share = 2 / Double(length)
        products.withUnsafeBufferPointer { products in
            variances.withUnsafeBufferPointer { variances in
                means.withUnsafeBufferPointer { means in
                    squares.withUnsafeMutableBufferPointer { squares in
                        let mean = 2 * means[past.head]
                        for lag in 0..<examples {
                            squares[lag] = variances[example + lag] - share * products[lag] + mean * means[example + lag]
                        }
                        for column in 1..<max(past.columns, 1) {
                            let base = column * past.capacity
                            let mean = 2 * means[base + past.head]
                            for lag in 0..<examples { squares[lag] += mean * means[base + example + lag] }
                        }
                    }
                }
            }
        }
    }

    mutating func renewUnit() {
        let known = usual.isEmpty ? 0 : quantile(sorted: usual.sorted(), Tuning.Stream.usualQuantile)
        unit = max(known, Tuning.Stream.floor)
    }

    mutating func note(_ distance: Double) {
        if usual.count < Tuning.Stream.usual {
            usual.append(distance)
        } else {
            usual[place] = distance
            place = (place + 1) % Tuning.Stream.usual
        }
    }
}
