extension JSONValue {
    public func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.value(value)
        case .integer(let value): writer.value(value)
        case .number(let value): writer.value(value)
        case .string(let value): writer.value(value)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.key(member.name)
                member.value.write(to: &writer)
            }
            writer.endObject()
        }
    }

    /// Compact JSON.
    public var serialized: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Compact JSON as a string.
    public var text: String { String(decoding: serialized, as: UTF8.self) }

    /// JSON for people: two spaces of indent, one member a line, arrays of plain values on one line.
    public var pretty: String {
        var writer = JSONWriter()
        writePretty(to: &writer, level: 0)
        return writer.text
    }

    private func writePretty(to writer: inout JSONWriter, level: Int) {
        switch self {
        case .array(let elements) where elements.contains(where: \.isContainer):
            writer.beginArray()
            for element in elements {
                writer.indent(level + 1)
                element.writePretty(to: &writer, level: level + 1)
            }
            writer.outdent(level)
            writer.endArray()
        case .object(let members) where !members.isEmpty:
            writer.beginObject()
            for member in members {
                writer.indent(level + 1)
                writer.key(member.name)
                writer.space()
                member.value.writePretty(to: &writer, level: level + 1)
            }
            writer.outdent(level)
            writer.endObject()
        default:
            write(to: &writer)
        }
    }

    private var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }
}

extension JSONWriter {
    public mutating func value(_ value: JSONValue) { value.write(to: &self) }
}
