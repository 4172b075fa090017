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
    /// The values of the document that was read last.
    public private(set) var slots: [JSONSlot]
    /// Unescaped strings of the document that was read last: valid UTF-8, addressed by `JSONSlot.text`.
    public private(set) var text: [UInt8] = []
    /// How many names were not among the paths.
    public private(set) var unknownCount = 0
    /// After `open`: whether the document is an array.
    public private(set) var isArray = false
    /// After `open`: how many elements `next` will give.
    public private(set) var elementCount = 0

    private var parser: Parser
    private var table: PathTable
    private var tape: Tape?
    private var cursor = 0
    private var end = 0
    private var generation: UInt32 = 0
    private var unknownNames: [UnknownName] = []

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
        unknownNames.reserveCapacity(Self.keptUnknown)
    }

    /// Reads a document that must be one object.
    /// 64 readable bytes after the range (`bytes.count >= range.upperBound + 64`) save a copy.
    public func read(_ bytes: [UInt8], _ range: Range<Int>) -> JSONReadResult {
        forget()
        var parsed: Tape?
        let reason = parser.parse(bytes, range, into: &parsed)
        guard reason == .none, let parsed else { return .malformed(reason) }
        tape = parsed
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
        return unknownNames.map { table.nodes[$0.node].prefix + String(decoding: tape.string(at: $0.offset), as: UTF8.self) }
    }

    private func forget() {
        tape = nil
        cursor = 0
        end = 0
        elementCount = 0
        isArray = false
        clear()
    }

    private func clear() {
        text.removeAll(keepingCapacity: true)
        if unknownCount > 0 {
            unknownNames.removeAll(keepingCapacity: true)
            unknownCount = 0
        }
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
        var reading = Reading(tape: tape, generation: generation, text: text, unknownCount: 0, unknown: unknownNames)
        text = []
        unknownNames = []
        let repeated = slots.withUnsafeMutableBufferPointer { reading.object(at: index, node: 0, table, $0) }
        text = reading.text
        unknownNames = reading.unknown
        unknownCount = reading.unknownCount
        return repeated < 0 ? .ok : .repeatedField(slot: repeated)
    }

    /// The walk over one object. Holds the buffers while it runs, so that they are appended to without access checks.
    private struct Reading {
        let tape: Tape
        let generation: UInt32
        var text: [UInt8]
        var unknownCount: Int
        var unknown: [UnknownName]

        /// Fills the slots of one object and of those below it. Returns the slot of a repeated field, or -1.
        mutating func object(
            at start: Int, node: Int, _ table: borrowing PathTable, _ slots: UnsafeMutableBufferPointer<JSONSlot>
        ) -> Int {
            let (first, count) = (table.nodes[node].first, table.nodes[node].count)
            let end = tape.close(start)
            var guess = first
            var index = start + 1
            while index < end {
                let value = index + 1
                guard let entry = table.find(tape.string(index), first: first, count: count, guess: guess) else {
                    note(index, node)
                    index = tape.after(value)
                    continue
                }
                guess = entry + 1
                if table.entries[entry].seen == generation { return Int(table.entries[entry].firstSlot) }
                table.entries[entry].seen = generation
                let (slot, child) = (Int(table.entries[entry].slot), Int(table.entries[entry].child))
                if slot >= 0 { fill(&slots[slot], value) }
                if child >= 0 {
                    if tape.kind(value) == Tape.Kind.object {
                        let repeated = object(at: value, node: child, table, slots)
                        if repeated >= 0 { return repeated }
                    } else if slot < 0, tape.kind(value) != Tape.Kind.null {
                        note(index, node)
                    }
                }
                index = tape.after(value)
            }
            return -1
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
                let lower = text.count
                text.append(contentsOf: string)
                slot.kind = .string
                slot.text = lower..<text.count
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

        private mutating func note(_ index: Int, _ node: Int) {
            unknownCount += 1
            guard unknown.count < JSONFields.keptUnknown else { return }
            unknown.append(UnknownName(node: node, offset: tape.words[index] & 0x00FF_FFFF_FFFF_FFFF))
        }
    }
}
