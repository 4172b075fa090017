/// The panes of one window set of one partition: fixed-size runs of words, taken and given back.
struct PanePool {
    let layout: PaneLayout
    /// Pane `id` is at `id * layout.width`; 0 is no pane.
    private(set) var words: [UInt64]
    private(set) var quantiles: [QuantileSketch] = []
    private(set) var distincts: [DistinctSketch] = []
    private var free: [Int32] = []

    init(_ layout: PaneLayout) {
        self.layout = layout
        words = Array(repeating: 0, count: layout.width)
        quantiles = Array(repeating: QuantileSketch(), count: layout.quantiles)
        distincts = Array(repeating: DistinctSketch(), count: layout.distincts)
    }

    /// Panes in use, with those that hold merged ones.
    var used: Int { words.count / layout.width - 1 - free.count }

    /// Memory that is taken, used or not; sketches are not counted.
    var byteCount: Int { 8 * words.capacity + 4 * free.capacity }

    mutating func take(number: Int64) -> Int {
        let id: Int
        if let last = free.popLast() {
            id = Int(last)
            let at = id * layout.width
            words.withUnsafeMutableBufferPointer { words in
                for i in at..<at + layout.width { words[i] = 0 }
            }
        } else {
            id = words.count / layout.width
            words.appendSparingly(repeating: 0, count: layout.width)
            if layout.quantiles > 0 { quantiles.append(contentsOf: repeatElement(QuantileSketch(), count: layout.quantiles)) }
            if layout.distincts > 0 { distincts.append(contentsOf: repeatElement(DistinctSketch(), count: layout.distincts)) }
        }
        words[id * layout.width + PaneLayout.Word.number] = UInt64(bitPattern: number)
        return id
    }

    mutating func give(_ id: Int) {
        for i in id * layout.quantiles..<(id + 1) * layout.quantiles { quantiles[i].removeAll() }
        for i in id * layout.distincts..<(id + 1) * layout.distincts { distincts[i].removeAll() }
        free.append(Int32(truncatingIfNeeded: id))
    }

    @inline(__always)
    func number(_ id: Int) -> Int64 { Int64(bitPattern: words[id * layout.width + PaneLayout.Word.number]) }

    @inline(__always)
    func older(_ id: Int) -> Int { Int(words[id * layout.width + PaneLayout.Word.links] & 0xFFFF_FFFF) }

    @inline(__always)
    func newer(_ id: Int) -> Int { Int(words[id * layout.width + PaneLayout.Word.links] >> 32) }

    mutating func link(_ id: Int, older: Int) {
        let at = id * layout.width + PaneLayout.Word.links
        words[at] = (words[at] >> 32) << 32 | UInt64(older)
    }

    mutating func link(_ id: Int, newer: Int) {
        let at = id * layout.width + PaneLayout.Word.links
        words[at] = (words[at] & 0xFFFF_FFFF) | (UInt64(newer) << 32)
    }

    /// Takes an event into a pane.
    @inline(__always)
    mutating func add(_ id: Int, _ registers: UnsafePointer<Double>, _ time: Int64) {
        words.withUnsafeMutableBufferPointer { words in
            if let base = words.baseAddress { layout.add(base + id * layout.width, registers, time) }
        }
        if layout.quantiles + layout.distincts > 0 { addToSketches(id, registers) }
    }

    private mutating func addToSketches(_ id: Int, _ registers: UnsafePointer<Double>) {
        for column in layout.columns {
            let value = registers[column.register]
            if value.isNaN { continue }
            if column.quantile >= 0 { quantiles[id * layout.quantiles + column.quantile].add(value) }
            if column.distinct >= 0 { distincts[id * layout.distincts + column.distinct].add(value) }
        }
    }

    /// Takes a newer pane into an older one.
    mutating func merge(_ target: Int, newer source: Int) {
        words.withUnsafeMutableBufferPointer { words in
            if let base = words.baseAddress { layout.merge(base + target * layout.width, newer: base + source * layout.width) }
        }
        for i in 0..<layout.quantiles { quantiles[target * layout.quantiles + i].merge(quantiles[source * layout.quantiles + i]) }
        for i in 0..<layout.distincts { distincts[target * layout.distincts + i].merge(distincts[source * layout.distincts + i]) }
    }

    /// A pane with another one's contents and no links.
    mutating func copy(_ source: Int) -> Int {
        let id = take(number: number(source))
        for i in PaneLayout.Word.events..<layout.width { words[id * layout.width + i] = words[source * layout.width + i] }
        for i in 0..<layout.quantiles { quantiles[id * layout.quantiles + i] = quantiles[source * layout.quantiles + i] }
        for i in 0..<layout.distincts { distincts[id * layout.distincts + i] = distincts[source * layout.distincts + i] }
        return id
    }

    /// Puts the values of all aggregates over a pane into their registers.
    func results(_ id: Int, _ program: WindowProgram, _ registers: UnsafeMutableBufferPointer<Double>) {
        words.withUnsafeBufferPointer { words in
            if let base = words.baseAddress { layout.results(base + id * layout.width, registers) }
        }
        if layout.quantiles + layout.distincts == 0 { return }
        for (aggregate, target) in zip(program.aggregates, program.targets) {
            switch aggregate.kind {
            case .quantile, .median:
                let sketch = id * layout.quantiles + layout.columns[aggregate.column].quantile
                registers[target] = quantiles[sketch].quantile(aggregate.parameter)
            case .distinct: registers[target] = distincts[id * layout.distincts + layout.columns[aggregate.column].distinct].count
            default: break
            }
        }
    }

    // MARK: Snapshots

    /// The words of a pane without its links.
    func contents(_ id: Int) -> (words: ArraySlice<UInt64>, quantiles: ArraySlice<QuantileSketch>, distincts: ArraySlice<DistinctSketch>) {
        let at = id * layout.width
        return (
            words[at..<at + layout.width], quantiles[id * layout.quantiles..<(id + 1) * layout.quantiles],
            distincts[id * layout.distincts..<(id + 1) * layout.distincts]
        )
    }

    /// A pane from the contents that a snapshot has kept; its links are the caller's.
    mutating func restore(_ contents: [UInt64], _ quantiles: [QuantileSketch], _ distincts: [DistinctSketch]) -> Int {
        let id = take(number: Int64(bitPattern: contents[PaneLayout.Word.number]))
        for i in PaneLayout.Word.events..<layout.width { words[id * layout.width + i] = contents[i] }
        for i in 0..<layout.quantiles { self.quantiles[id * layout.quantiles + i] = quantiles[i] }
        for i in 0..<layout.distincts { self.distincts[id * layout.distincts + i] = distincts[i] }
        return id
    }
}
