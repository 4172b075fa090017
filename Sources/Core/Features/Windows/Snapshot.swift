/// What a snapshot covers.
public enum SnapshotKind: UInt64, Sendable {
    /// The whole state: read into a new `PartitionState`.
    case full
    /// The entities that changed since the last snapshot of either kind: read after that one.
    case changes
}

/// The bytes are no snapshot that this state can take.
public struct SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Not a snapshot, cut off, or damaged.
        case damaged
        /// Of a version of the format that this program does not know.
        case version
        /// Of other feature sets, fields or rules.
        case plan
        /// Changes on top of another state than the one they were taken from.
        case order
    }

    public let reason: Reason
    public let message: String
    public var description: String { message }
}

extension PartitionState {
    /// Appends the state, or what changed of it since the last snapshot, to `bytes`.
    ///
    /// The bytes can be compressed well. When they could not be stored, the next snapshot must be a full one. Cost: about 1 µs per entity
    /// with six aggregates over 60 s by 10 s.
    public func writeSnapshot(_ kind: SnapshotKind, into bytes: inout [UInt8]) { core.write(kind, &bytes) }

    /// Takes a snapshot: a full one replaces the state, changes are applied to it. Afterwards the state behaves, bit for bit, as the one
    /// that wrote it. After an error the state is empty.
    public func restore(_ bytes: [UInt8]) throws(SnapshotError) {
        do {
            try core.read(bytes)
        } catch {
            core = PartitionCore(plan, core.partition)
            throw error
        }
    }
}

/// Layout of a snapshot, all integers of 8 bytes, little-endian:
///
/// "VYUHAPS" and version, plan, kind, sequence before (changes apply to that state only), then the partition's numbers, per window set the
/// next window's start and the end of the last one that was emitted early, the number of entities in all and in here, for each: slot, key,
/// words of its block, per window set its panes and what was emitted early, its remembered events; last a checksum.
///
/// Version 1 has nothing about early firing, and what a clock decided in place of the horizon: it closed windows for good then.
extension PartitionCore {
    private static let magic: UInt64 = 0x5350_4148_5559_5600
    private static let version: UInt64 = 2

    mutating func write(_ kind: SnapshotKind, _ bytes: inout [UInt8]) {
        let first = bytes.count
        var out = ByteWriter(bytes: bytes)
        bytes = []
        out.put(Self.magic | Self.version)
        out.put(plan.fingerprint)
        out.put(kind.rawValue)
        out.put(snapshotSequence)
        for value in [newest, horizon] { out.put(UInt64(bitPattern: value)) }
        for value in [sequence, counters.evicted, counters.evictedOpen, counters.late, counters.future, rolling.reduce(0) { $0 + $1.overflows }] {
            out.put(value)
        }
        for window in windows {
            out.put(UInt64(bitPattern: window.nextStart ?? .min))
            out.put(UInt64(bitPattern: window.early.end))
        }
        out.put(UInt64(table.count))
        out.put(UInt64(kind == .full ? table.count : changed.count))
        if kind == .full {
            for slot in 0..<table.count { write(slot, &out) }
        } else {
            changed.forEach { write($0, &out) }
        }
        out.put(TextHash.hash(out.bytes, first..<out.bytes.count))
        bytes = out.bytes
        changed.removeAll()
        snapshotSequence = sequence
    }

    private func write(_ slot: Int, _ out: inout ByteWriter) {
        let block = table.base(slot)
        out.put(UInt64(slot))
        out.put(table.words[block + EntityTable.Word.length])
        table.appendKey(slot, to: &out.bytes)
        out.put(table.words[(block + EntityTable.Word.lastSeen)..<(block + table.stride)])
        for i in windows.indices { windows[i].write(table.words, block, slot, &out) }
        for i in rolling.indices where rolling[i].isNeeded {
            let rows = slot < rolling[i].rows.count ? rolling[i].rows[slot] : []
            out.put(UInt64(rows.count))
            out.put(rows)
        }
    }

    mutating func read(_ bytes: [UInt8]) throws(SnapshotError) {
        var input = ByteReader(bytes: bytes, end: bytes.count - 8)
        guard bytes.count >= 40, try input.take() & ~0xFF == Self.magic else {
            throw SnapshotError(reason: .damaged, message: "These bytes are no snapshot of a partition's state.")
        }
        let version = UInt64(bytes[0])
        guard (1...Self.version).contains(version) else {
            throw SnapshotError(
                reason: .version,
                message:
                    "The snapshot has version \(version) of the format; this program reads versions up to \(Self.version). Rebuild the state.")
        }
        var last = ByteReader(bytes: bytes, end: bytes.count)
        last.position = bytes.count - 8
        guard try last.take() == TextHash.hash(bytes, 0..<bytes.count - 8) else { throw ByteReader.damaged }
        guard try input.take() == plan.fingerprint else {
            throw SnapshotError(
                reason: .plan,
                message: "The snapshot belongs to other features, fields or time rules than those of this use case. Rebuild the state.")
        }
        let kind = SnapshotKind(rawValue: try input.take())
        let before = try input.take()
        switch kind {
        case .full: self = PartitionCore(plan, partition)
        case .changes:
            guard before == sequence else {
                throw SnapshotError(reason: .order, message: "The snapshot's changes belong on top of another state than this one.")
            }
        case nil: throw ByteReader.damaged
        }
        newest = Int64(bitPattern: try input.take())
        horizon = Int64(bitPattern: try input.take())
        if version == 1 {
            if horizon != .min { horizon -= plan.time.lateness(in: partition) }
            raiseHorizon()
        }
        sequence = try input.take()
        counters = Counters(evicted: try input.take(), evictedOpen: try input.take(), late: try input.take(), future: try input.take())
        rolling[0].overflows = try input.take()
        for i in rolling.indices.dropFirst() { rolling[i].overflows = 0 }
        for i in windows.indices {
            let start = Int64(bitPattern: try input.take())
            windows[i].nextStart = start == .min ? nil : start
            windows[i].early.end = version == 1 ? .min : Int64(bitPattern: try input.take())
        }
        let total = try input.take()
        let count = try input.take()
        for _ in 0..<count { try readEntity(version, &input) }
        guard UInt64(table.count) == total, input.position == input.end else { throw ByteReader.damaged }
        silence?.rebuild(table)
        recency = RecencyQueue()
        changed.removeAll()
        snapshotSequence = sequence
        findNextEnd()
    }

    private mutating func readEntity(_ version: UInt64, _ input: inout ByteReader) throws(SnapshotError) {
        let slot = Int(try input.count(Self.maximumCount))
        let key = try input.bytes(Int(try input.count(Self.maximumCount)))
        let hash = TextHash.hash(key, 0..<key.count)
        if slot == table.count {
            _ = table.insert(key, hash: hash)
        } else if slot < table.count {
            for i in windows.indices { _ = windows[i].forget(&table.words, table.base(slot), slot) }
            for i in rolling.indices { rolling[i].forget(slot) }
            table.replace(slot, by: key, hash: hash)
        } else {
            throw ByteReader.damaged
        }
        let block = table.base(slot)
        for i in EntityTable.Word.lastSeen..<table.stride { table.words[block + i] = try input.take() }
        for i in windows.indices { try windows[i].read(&table.words, block, slot, version, &input) }
        for i in rolling.indices where rolling[i].isNeeded {
            var rows: [Double] = []
            for _ in 0..<(try input.count(Self.maximumCount)) { rows.append(Double(bitPattern: try input.take())) }
            guard rolling[i].restore(slot, rows) else { throw ByteReader.damaged }
        }
    }

    private static let maximumCount: UInt64 = 1 << 31
}

extension WindowSet {
    fileprivate func write(_ words: [UInt64], _ block: Int, _ slot: Int, _ out: inout ByteWriter) {
        let track = block + offset
        let tail = Int(words[track + Track.ends] >> 32)
        let closed = Int(words[track + Track.closed] & 0xFFFF_FFFF)
        let back = Int(words[track + Track.closed] >> 32)
        var count: UInt64 = 0
        var closedCount: UInt64 = 0
        var pane = tail
        while pane != 0 {
            count += 1
            if pane == closed { closedCount = count }
            pane = pool.newer(pane)
        }
        out.put(count)
        out.put(closedCount)
        out.put(back == 0 ? 0 : 1)
        pane = tail
        while pane != 0 {
            write(pane, &out)
            pane = pool.newer(pane)
        }
        if back != 0 { write(back, &out) }
        out.put(UInt64(early[slot].count))
        for row in early[slot] {
            out.put(UInt64(bitPattern: row.start))
            out.put(UInt64(row.emitted) << 1 | (row.isChanged ? 1 : 0))
        }
    }

    private func write(_ pane: Int, _ out: inout ByteWriter) {
        let contents = pool.contents(pane)
        let links = contents.words.startIndex + PaneLayout.Word.links
        out.put(contents.words[..<links])
        out.put(contents.words[(links + 1)...])
        for sketch in contents.quantiles {
            out.put(UInt64(sketch.bins.count))
            for bin in sketch.bins { out.put(UInt64(bitPattern: bin)) }
        }
        for sketch in contents.distincts {
            out.put(UInt64(sketch.exact.count))
            for hash in sketch.exact { out.put(hash) }
            out.put(UInt64(sketch.registers.count))
            out.bytes.append(contentsOf: sketch.registers)
        }
    }

    fileprivate mutating func read(
        _ words: inout [UInt64], _ block: Int, _ slot: Int, _ version: UInt64, _ input: inout ByteReader
    ) throws(SnapshotError) {
        let track = block + offset
        let count = try input.count(1 << 31)
        let closedCount = try input.count(count)
        let hasBack = try input.count(1) == 1
        var (tail, head, closed) = (0, 0, 0)
        words[track + Track.ends] = 0
        words[track + Track.closed] = 0
        for i in 0..<count {
            let pane = try readPane(&input)
            if head != 0 {
                guard pool.number(head) < pool.number(pane) else { throw ByteReader.damaged }
                pool.link(head, newer: pane)
            }
            pool.link(pane, older: head)
            if tail == 0 { tail = pane }
            head = pane
            if i + 1 == closedCount { closed = pane }
        }
        let back = hasBack ? try readPane(&input) : 0
        guard back == 0 || closed != 0 else { throw ByteReader.damaged }
        words[track + Track.ends] = UInt64(head) | UInt64(tail) << 32
        words[track + Track.closed] = UInt64(closed) | UInt64(back) << 32
        if tail != 0 { active.insert(slot) }
        if version > 1 { try readEarly(slot, &input) }
    }

    private mutating func readEarly(_ slot: Int, _ input: inout ByteReader) throws(SnapshotError) {
        var rows: [EarlyWindows.Row] = []
        for _ in 0..<(try input.count(1 << 31)) {
            let start = Int64(bitPattern: try input.take())
            let state = try input.count(UInt64(UInt32.max) << 1 | 1)
            rows.append(.init(start: start, emitted: UInt32(state >> 1), isChanged: state & 1 == 1))
        }
        guard early.restore(slot, rows) else { throw ByteReader.damaged }
    }

    private mutating func readPane(_ input: inout ByteReader) throws(SnapshotError) -> Int {
        var contents: [UInt64] = []
        for i in 0..<pool.layout.width { contents.append(i == PaneLayout.Word.links ? 0 : try input.take()) }
        var quantiles: [QuantileSketch] = []
        for _ in 0..<pool.layout.quantiles {
            var bins: [Int64] = []
            for _ in 0..<(try input.count(UInt64(QuantileSketch.maximumBins))) { bins.append(Int64(bitPattern: try input.take())) }
            guard let sketch = QuantileSketch(bins: bins) else { throw ByteReader.damaged }
            quantiles.append(sketch)
        }
        var distincts: [DistinctSketch] = []
        for _ in 0..<pool.layout.distincts {
            var exact: [UInt64] = []
            for _ in 0..<(try input.count(UInt64(DistinctSketch.exactLimit))) { exact.append(try input.take()) }
            let registers = try input.bytes(Int(try input.count(1 << 16)))
            guard let sketch = DistinctSketch(exact: exact, registers: registers) else { throw ByteReader.damaged }
            distincts.append(sketch)
        }
        return pool.restore(contents, quantiles, distincts)
    }
}

/// Appends integers of 8 bytes.
struct ByteWriter {
    var bytes: [UInt8]

    @inline(__always)
    mutating func put(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }

    /// At once, as they lie in memory: this package's hosts (x86-64, arm64) are little-endian.
    mutating func put(_ words: ArraySlice<UInt64>) { words.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    mutating func put(_ values: [Double]) { values.withUnsafeBytes { bytes.append(contentsOf: $0) } }
}

/// Takes them back, and never reads beyond the end.
struct ByteReader {
    static let damaged = SnapshotError(
        reason: .damaged, message: "The snapshot of a partition's state is damaged or cut off. Rebuild the state.")

    let bytes: [UInt8]
    let end: Int
    var position = 0

    init(bytes: [UInt8], end: Int) {
        self.bytes = bytes
        self.end = end
    }

    @inline(__always)
    mutating func take() throws(SnapshotError) -> UInt64 {
        guard position + 8 <= end else { throw Self.damaged }
        defer { position += 8 }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt64.self)) }
    }

    mutating func count(_ most: UInt64) throws(SnapshotError) -> UInt64 {
        let value = try take()
        guard value <= most else { throw Self.damaged }
        return value
    }

    mutating func bytes(_ count: Int) throws(SnapshotError) -> [UInt8] {
        guard count <= end - position else { throw Self.damaged }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}
