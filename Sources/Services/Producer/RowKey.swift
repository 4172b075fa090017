import Features

/// Reads entity and event time from a row, by the schema's own rules, so that key and time are exactly those that the stream processor will find.
final class RowKey {
    /// Of the row read last: UTF-8, empty when there is none.
    @exclusivity(unchecked) private(set) var entity: [UInt8] = []
    /// Of the row read last that had a usable time, milliseconds.
    @exclusivity(unchecked) private(set) var eventTime: Int64 = 0
    /// Whether the row read last had a usable time.
    @exclusivity(unchecked) private(set) var hasTime = false

    private let decoder: EventDecoder
    private let binding: ColumnBinding
    private let entityColumn: Int

    /// - Parameter columns: per field of the schema the column that feeds it, or -1.
    init(schema: EventSchema, header: [String], columns: [Int]) throws {
        let entity = schema.fields[schema.entityIndex]
        let time = schema.fields[schema.timeIndex]
        entityColumn = columns[schema.entityIndex]
        let timeColumn = columns[schema.timeIndex]
        let fields = entity.name == time.name ? [entity] : [entity, time]
        let part = try EventSchema(fields: fields, entity: entity.name, time: time.name, unknownFields: .ignore)
        var names: [String: String] = [:]
        if entityColumn >= 0 { names[entity.name] = header[entityColumn] }
        if timeColumn >= 0 { names[time.name] = header[timeColumn] }
        decoder = EventDecoder(schema: part)
        binding = try ColumnBinding(schema: part, header: header, columns: names)
    }

    /// For a row that could not be read into columns.
    func forgetEntity() {
        entity.removeAll(keepingCapacity: true)
        hasTime = false
    }

    /// No allocation for a row whose entity and time are in order.
    func read(_ bytes: [UInt8], _ fields: [Range<Int>]) {
        entity.removeAll(keepingCapacity: true)
        hasTime = decoder.decode(columns: bytes, fields, binding)
        if hasTime {
            eventTime = decoder.eventTime
            entity.append(contentsOf: decoder.entity)
        } else if entityColumn >= 0, entityColumn < fields.count {
            // One of the two is wrong. The text as it stands is the best key for an event that will be refused.
            entity.append(contentsOf: bytes[fields[entityColumn]])
        }
    }
}

/// Which column feeds which field, by the rules of `ColumnBinding`: the one that the use case names, else the field's name, else its path.
enum Columns {
    static func find(_ schema: EventSchema, header: [String], named: [String: String]) -> [Int] {
        schema.fields.map { field in
            if let name = named[field.name] { return header.firstIndex(of: name) ?? -1 }
            return header.firstIndex(of: field.name) ?? header.firstIndex(of: field.path) ?? -1
        }
    }
}
