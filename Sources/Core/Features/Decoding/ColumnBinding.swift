import JSON
import Text

/// Which column of a CSV file feeds which field of a schema.
public struct ColumnBinding: Sendable {
    /// Columns of the header that feed no field, such as a label.
    public let unusedColumns: [String]
    /// Number of columns in the header.
    public let columnCount: Int
    /// Per field of the schema the position of its column, or -1.
    let columns: [Int]

    /// - Parameters:
    ///   - header: The names in the file's first line.
    ///   - columns: Field to column. A field that is not in it is fed by the column of its name, or else of its path.
    /// - Throws: when a field that must have a column has none, or `columns` names what does not exist.
    public init(schema: EventSchema, header: [String], columns: [String: String] = [:]) throws(SchemaError) {
        var positions: [String: Int] = [:]
        for (index, name) in header.enumerated() {
            guard positions.updateValue(index, forKey: name) == nil else {
                throw SchemaError(field: nil, key: "columns", message: "The header of the file has the column `\(name)` twice.")
            }
        }
        for name in columns.keys.sorted() where schema.index(of: name) == nil {
            let hint = Nearest.sentence(name, in: schema.fields.map(\.name))
            throw SchemaError(
                field: name, key: "columns", message: "`columns` names the field `\(name)`, which the event does not have.\(hint)")
        }
        var bound: [Int] = []
        for field in schema.fields {
            if let column = columns[field.name] {
                guard let position = positions[column] else {
                    let hint = Nearest.sentence(column, in: header)
                    throw SchemaError(
                        field: field.name, key: "columns",
                        message: "The file has no column `\(column)` for the field `\(field.name)`.\(hint)")
                }
                bound.append(position)
            } else if let position = positions[field.name] ?? positions[field.path] {
                bound.append(position)
            } else if field.isRequired, field.defaultValue == nil {
                let hint = Nearest.sentence(field.name, in: header)
                throw SchemaError(
                    field: field.name, key: "columns", message: "The file has no column for the required field `\(field.name)`.\(hint)")
            } else {
                bound.append(-1)
            }
        }
        let used = Set(bound)
        unusedColumns = header.indices.filter { !used.contains($0) }.map { header[$0] }
        columnCount = header.count
        self.columns = bound
    }
}

/// Writes a row of a CSV file as the JSON event that `EventDecoder` reads back to the same row.
///
/// A text that is what its field's type asks for is written as that type; any other is written as a string, so that the reader refuses it
/// with its reason and nothing is hidden here. An empty text is left out. Paths become nested objects.
public struct ColumnEventWriter: Sendable {
    private enum Step { case open([UInt8]), close, field(Int, [UInt8]) }

    /// As what a field is written. One byte each, because copying a whole `EventField` per value costs more than writing it.
    private enum Form: UInt8 {
        case number, boolean, text

        init(_ field: EventField) {
            switch field.type {
            case .number, .integer: self = .number
            case .timestamp: self = field.format == .epochSeconds || field.format == .epochMilliseconds ? .number : .text
            case .boolean: self = .boolean
            case .string: self = .text
            }
        }
    }

    private let forms: [Form]
    private let columns: [Int]
    private let steps: [Step]

    public init(schema: EventSchema, binding: ColumnBinding) {
        forms = schema.fields.map(Form.init)
        columns = binding.columns
        var steps: [Step] = []
        Self.plan(schema.fields.enumerated().map { ($0, $1.path.split(separator: ".").map(String.init)) }, into: &steps)
        self.steps = steps
    }

    /// The steps for fields with the same parents, in the order in which the schema first names them.
    private static func plan(_ fields: [(index: Int, path: [String])], into steps: inout [Step]) {
        var done: Set<String> = []
        for field in fields {
            guard let name = field.path.first, done.insert(name).inserted else { continue }
            if field.path.count == 1 {
                steps.append(.field(field.index, JSONWriter.escapedKey(name)))
            } else {
                steps.append(.open(JSONWriter.escapedKey(name)))
                plan(fields.filter { $0.path.first == name }.map { ($0.index, Array($0.path.dropFirst())) }, into: &steps)
                steps.append(.close)
            }
        }
    }

    /// - Parameters:
    ///   - bytes: The buffer that holds the row.
    ///   - values: The ranges of its columns; a column that the row lacks counts as empty.
    public func write(_ bytes: [UInt8], _ values: [Range<Int>], into writer: inout JSONWriter) {
        writer.beginObject()
        for step in steps {
            switch step {
            case .open(let key):
                writer.key(raw: key)
                writer.beginObject()
            case .close:
                writer.endObject()
            case .field(let index, let key):
                let column = columns[index]
                guard column >= 0, column < values.count, !values[column].isEmpty else { continue }
                writer.key(raw: key)
                write(bytes, values[column], forms[index], into: &writer)
            }
        }
        writer.endObject()
    }

    private func write(_ bytes: [UInt8], _ range: Range<Int>, _ form: Form, into writer: inout JSONWriter) {
        switch form {
        case .number:
            if let value = TextNumber.parse(bytes, range) { return writer.value(value) }
        case .boolean:
            if let value = EventDecoder.boolean(bytes, range) { return writer.value(value) }
        case .text: break
        }
        writer.value(utf8: bytes, range)
    }
}
