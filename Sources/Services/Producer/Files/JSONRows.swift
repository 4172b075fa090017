import Contracts
import Features
import JSON
import UseCases

/// Takes the columns of a row out of a JSON object: the schema's fields and the truth, each by a path such as `meta.location`.
final class JSONColumns {
    /// The paths.
    let names: [String]
    /// Of the object that was read last.
    @exclusivity(unchecked) private(set) var bytes: [UInt8] = []
    @exclusivity(unchecked) private(set) var fields: [Range<Int>]
    private let document: JSONFields

    /// - Parameters:
    ///   - format: `columns` names the path of a field where it is not the schema's; `label` and the others are paths too.
    ///   - extra: more paths, such as that of an id.
    ///   - maximumBytes: a larger document is malformed.
    init(schema: EventSchema, format: FileFormat, extra: [String] = [], maximumBytes: Int = 1 << 20) throws {
        var names: [String] = []
        for path in schema.fields.map({ format.columns[$0.name] ?? $0.path })
            + [format.label, format.labelKind, format.labelStart, format.labelEnd, format.ignore].compactMap(\.self)
            + extra
        where !names.contains(path) {
            names.append(path)
        }
        self.names = names
        fields = Array(repeating: 0..<0, count: names.count)
        do { document = try JSONFields(paths: names, maximumBytes: maximumBytes) } catch {
            throw SourceError("The fields of the source: \(error.message)")
        }
    }

    func read(_ text: [UInt8], _ range: Range<Int>) -> SourceRow {
        let result = document.read(text, range)
        if case .malformed = result, let problem = JSONProblem.first(in: text, range) { return .unmappable(.malformed, "\(problem).") }
        return take(result)
    }

    /// Puts another cell behind those of the row: text that is no part of the document.
    func add(_ text: some Sequence<UInt8>) -> Range<Int> {
        let from = bytes.count
        bytes.append(contentsOf: text)
        return from..<bytes.count
    }

    /// Begins a row that is no document: every cell is empty.
    func clear() {
        bytes.removeAll(keepingCapacity: true)
        for index in fields.indices { fields[index] = 0..<0 }
    }

    /// One object or an array of objects, which `next` then gives one by one.
    func open(_ text: [UInt8]) -> JSONReadResult { document.open(text) }
    var isArray: Bool { document.isArray }
    func next() -> SourceRow? { document.next().map(take) }

    private func take(_ result: JSONReadResult) -> SourceRow {
        switch result {
        case .ok: break
        case .malformed(let reason): return .unmappable(.malformed, "\(reason)")
        case .notAnObject: return .unmappable(.notAnObject, "This is JSON, but not an object.")
        case .repeatedField(let slot): return .unmappable(.repeatedField, "The field \(names[slot]) is given twice.")
        }
        bytes.removeAll(keepingCapacity: true)
        for index in fields.indices {
            let slot = document.slots[index]
            let from = bytes.count
            switch slot.kind {
            case .missing, .null: break
            case .integer: NumberText.append(slot.integer, to: &bytes)
            case .number: NumberText.append(slot.number, to: &bytes)
            case .bool: bytes.append(contentsOf: (slot.number == 1 ? "true" : "false").utf8)
            case .string: bytes.append(contentsOf: document.text[slot.text])
            case .container: return .unmappable(.wrongType, "The field \(names[index]) is an object or a list, not a value.")
            }
            fields[index] = from..<bytes.count
        }
        return .event
    }
}

/// JSON Lines: an object a line ([jsonlines.org](https://jsonlines.org)).
final class JSONRows: LineRows, RowReader {
    private let object: JSONColumns

    init(path: String, format: FileFormat, schema: EventSchema, follows: Bool, shouldWait: (@Sendable () -> Bool)?) throws {
        object = try JSONColumns(schema: schema, format: format)
        try super.init(path: path, format: format, follows: follows, shouldWait: shouldWait)
    }

    var columns: [String] { object.names }
    var bytes: [UInt8] { object.bytes }
    var fields: [Range<Int>] { object.fields }

    func next() throws -> SourceRow? {
        guard let row = try nextLine() else { return nil }
        guard case .event = row else { return row }
        return object.read(reader.bytes, reader.range)
    }
}
