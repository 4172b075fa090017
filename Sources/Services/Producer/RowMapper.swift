import Features
import JSON

/// Writes a source's row as the JSON event that the stream processor reads: only the schema's fields, numbers as numbers, empty as absent.
struct RowMapper {
    private let event: ColumnEventWriter

    init<S: EventSource>(schema: EventSchema, source: S) throws {
        var names: [String: String] = [:]
        for (field, column) in zip(schema.fields, source.columns) where column >= 0 { names[field.name] = source.header[column] }
        event = ColumnEventWriter(schema: schema, binding: try ColumnBinding(schema: schema, header: source.header, columns: names))
    }

    func write<S: EventSource>(_ source: S, into writer: inout JSONWriter) {
        event.write(source.bytes, source.fields, into: &writer)
    }
}
