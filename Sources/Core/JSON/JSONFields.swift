import CSimdJSON

/// Reads the fields of one document after another by path: the hot path of every service.
///
/// The whole document is validated (RFC 8259, UTF-8, nothing after its end) in one parse; then each known field is a slot
/// and each other name is unknown. Nothing is allocated once buffers have grown to the documents' size.
/// One thread at a time. An event of 150 bytes with 6 fields costs about a quarter of a microsecond.
///
/// `meta: 5` where `meta.location` is looked for makes `meta` an unknown name; `meta: null` leaves what is below it missing.
public final class JSONFields {
    /// Names joined by dots. Slot `i` belongs to `paths[i]`.
    public let paths: [String]
    // One thread, and no code of the caller's runs inside a reading: the run-time checks for overlapping access would cost
    // a tenth of the time.

    /// The values of the document that was read last.
    @exclusivity(unchecked) public private(set) var slots: [JSONSlot]
    /// Unescaped strings of the document that was read last: valid UTF-8, addressed by `JSONSlot.text`. What lies outside
    /// those ranges means nothing.
    @exclusivity(unchecked) public private(set) var text: [UInt8] = []
    /// How many names were not among the paths.
    @exclusivity(unchecked) public private(set) var unknownCount = 0
    /// After `open`: whether the document is an array.
    @exclusivity(unchecked) public private(set) var isArray = false
    /// After `open`: how many elements `next` will give.
    @exclusivity(unchecked) public private(set) var elementCount = 0

    @exclusivity(unchecked) private var parser: Parser
    @exclusivity(unchecked) private var table: PathTable
    @exclusivity(unchecked) private var tape: Tape?
    @exclusivity(unchecked) private var cursor = 0
    @exclusivity(unchecked) private var end = 0
    @exclusivity(unchecked) private var generation: UInt32 = 0
    /// Room for the first unknown names; plain memory, so that the walk appends without a check.
    private let unknownNames: UnsafeMutableBufferPointer<UnknownName>

    /// A name that no path knows, as long as the document is there.
    private struct UnknownName {
        var node: Int
        var offset: UInt64
    }

    /// At most this many unknown names are kept for messages.
    public static let keptUnknown = 8

    /// - Parameters:
    ///   - paths: `meta.location` is the field `location` of the object `meta`.
    ///   - maximumBytes: a larger document is refused as malformed.
    ///   - maximumDepth: containers inside containers; deeper documents are refused as malformed.
    /// - Throws: when a path has an empty name or occurs twice.
    public init(paths: [String], maximumBytes: Int = 1 << 20, maximumDepth: Int = 32) throws(JSONError) {
        self.paths = paths
        slots = Array(repeating: JSONSlot(), count: paths.count)
        table = try PathTable(paths: paths)
        parser = Parser(maximumBytes: maximumBytes, maximumDepth: maximumDepth)
        unknownNames = .allocate(capacity: Self.keptUnknown)
        unknownNames.initialize(repeating: UnknownName(node: 0, offset: 0))
    }

    deinit {
        unknownNames.deallocate()
    }

    /// Reads a document that must be one object.
    /// 64 readable bytes after the range (`bytes.count >= range.upperBound + 64`) save a copy.
    public func read(_ bytes: [UInt8], _ range: Range<Int>) -> JSONReadResult {
        forget()
        var parsed: Tape?
        let reason = parser.parse(bytes, range, into: &parsed)
        guard reason == .none, let parsed else { return .malformed(reason) }
        tape = parsed
        reserveText(range.count)
        return read(parsed, at: Tape.start)
    }

    public func read(_ bytes: [UInt8]) -> JSONReadResult { read(bytes, 0..<bytes.count) }

    /// Parses one object or an array of objects; `next` then reads them one by one, without parsing again.
    public func open(_ bytes: [UInt8], _ range: Range<Int>) -> JSONReadResult {
        forget()
        var parsed: Tape?
        let reason = parser.parse(bytes, range, into: &parsed)
        guard reason == .none, let parsed else { return .malformed(reason) }
        switch parsed.kind(Tape.start) {
        case Tape.Kind.object:
            cursor = Tape.start
            end = parsed.after(cursor)
            elementCount = 1
        case Tape.Kind.array:
            isArray = true
            cursor = Tape.start + 1
            end = parsed.close(Tape.start)
            var index = cursor
            while index < end {
                elementCount += 1
                index = parsed.after(index)
            }
        default:
            return .notAnObject
        }
        tape = parsed
        reserveText(range.count)
        return .ok
    }

    public func open(_ bytes: [UInt8]) -> JSONReadResult { open(bytes, 0..<bytes.count) }

    /// Reads the next element of the opened document, or nil at its end. An element that is refused does not stop the others.
    public func next() -> JSONReadResult? {
        guard let tape, cursor < end else { return nil }
        let index = cursor
        cursor = tape.after(index)
        return read(tape, at: index)
    }

    /// The text of a slot, or nil when it is no string. Allocates.
    public func string(_ slot: Int) -> String? {
        guard slots[slot].kind == .string else { return nil }
        return String(decoding: text[slots[slot].text], as: UTF8.self)
    }

    public var hasUnknown: Bool { unknownCount > 0 }

    /// The first `keptUnknown` names that are not among the paths, with the names of the objects they lie in.
    /// Allocates; valid until the next read.
    public var unknown: [String] {
        guard let tape else { return [] }
        return unknownNames.prefix(unknownCount).map {
            table.prefixes[$0.node] + String(decoding: tape.string(at: $0.offset), as: UTF8.self)
        }
    }

    private func forget() {
        tape = nil
        cursor = 0
        end = 0
        elementCount = 0
        isArray = false
        clear()
    }

    /// Unescaping never makes a string longer, so a document's strings fit in its own length.
    private func reserveText(_ count: Int) {
        if text.count < count { text = Array(repeating: 0, count: max(count, 2 * text.count)) }
    }

    private func clear() {
        unknownCount = 0
        slots.withUnsafeMutableBufferPointer { $0.update(repeating: JSONSlot()) }
    }

    private func read(_ tape: Tape, at index: Int) -> JSONReadResult {
        if index != Tape.start { clear() }
        guard tape.kind(index) == Tape.Kind.object else { return .notAnObject }
        if generation == .max {
            for entry in table.entries.indices { table.entries[entry].seen = 0 }
            generation = 0
        }
        generation += 1
        let unknownNames = unknownNames
        let (repeated, count) = slots.withUnsafeMutableBufferPointer { slots in
            text.withUnsafeMutableBytes { text in
                var reading = Reading(tape: tape, generation: generation, slots: slots, text: text, unknown: unknownNames)
                return (reading.object(at: index, node: 0, table), reading.unknownCount)
            }
        }
        unknownCount = count
        return repeated < 0 ? .ok : .repeatedField(slot: repeated)
    }

    /// The walk over one object and what is below it.
    private struct Reading {
        let tape: Tape
        let generation: UInt32
        let slots: UnsafeMutableBufferPointer<JSONSlot>
        let text: UnsafeMutableRawBufferPointer
        var textCount = 0

        let unknown: UnsafeMutableBufferPointer<UnknownName>
        var unknownCount = 0

        /// Fills the slots and notes each name that is not looked for. Returns the slot of a repeated field, or -1.
        mutating func object(at start: Int, node: Int, _ table: borrowing PathTable) -> Int {
            let names = table.nodes[node]
            let end = tape.close(start)
            var guess = names.first
            var index = start + 1
            while index < end {
                let value = index + 1
                let found = table.find(tape.string(index), first: names.first, count: names.count, guess: guess)
                guard found >= 0 else {
                    note(node, tape.words[index])
                    index = tape.after(value)
                    continue
                }
                guess = found + 1
                if table.entries[found].seen == generation { return Int(table.entries[found].firstSlot) }
                table.entries[found].seen = generation
                let (slot, child) = (Int(table.entries[found].slot), Int(table.entries[found].child))
                if slot >= 0 { fill(&slots[slot], value) }
                if child >= 0 {
                    if tape.kind(value) == Tape.Kind.object {
                        let repeated = object(at: value, node: child, table)
                        if repeated >= 0 { return repeated }
                    } else if slot < 0, tape.kind(value) != Tape.Kind.null {
                        note(node, tape.words[index])
                    }
                }
                index = tape.after(value)
            }
            return -1
        }

        private mutating func note(_ node: Int, _ word: UInt64) {
            if unknownCount < unknown.count { unknown[unknownCount] = UnknownName(node: node, offset: word & 0x00FF_FFFF_FFFF_FFFF) }
            unknownCount += 1
        }

        @inline(__always)
        private mutating func fill(_ slot: inout JSONSlot, _ index: Int) {
            switch tape.kind(index) {
            case Tape.Kind.double:
                slot.kind = .number
                slot.number = tape.double(index)
            case Tape.Kind.integer:
                slot.kind = .integer
                slot.integer = tape.integer(index)
                slot.number = Double(slot.integer)
            case Tape.Kind.string:
                let string = tape.string(index)
                let lower = textCount
                textCount += string.count
                UnsafeMutableRawBufferPointer(rebasing: text[lower..<textCount]).copyMemory(from: string)
                slot.kind = .string
                slot.text = lower..<textCount
            case Tape.Kind.yes:
                slot.kind = .bool
                slot.number = 1
            case Tape.Kind.no:
                slot.kind = .bool
                slot.number = 0
            case Tape.Kind.null:
                slot.kind = .null
            case Tape.Kind.unsigned:
                slot.kind = .number
                slot.number = Double(tape.unsigned(index))
            default:
                slot.kind = .container
            }
        }
    }
}
