import Features
import Text

/// Reads entity and event time from a row, by the schema's own rules, so that key and time are exactly those that the stream processor will find.
final class RowKey {
    /// Of the row read last: UTF-8, empty when there is none.
    @exclusivity(unchecked) private(set) var entity: [UInt8] = []
    /// Of the row read last that had a usable time, milliseconds.
    @exclusivity(unchecked) private(set) var eventTime: Int64 = 0
    /// Whether the row read last had a usable time.
    @exclusivity(unchecked) private(set) var hasTime = false

    /// Whether the row read last has a local time that its zone has twice, and is of the second of the two hours.
    @exclusivity(unchecked) private(set) var isInRepeatedHour = false

    private let decoder: EventDecoder
    private let binding: ColumnBinding
    private let entityColumn: Int
    /// Of local times, where the order of the rows tells the two hours apart.
    private let zone: TimeZoneRules?
    /// By the hash of the entity: the time of its last row in a repeated hour.
    private var lastInHour: [UInt64: Int64] = [:]
    private var newestInHour = Int64.min

    /// - Parameters:
    ///   - columns: per field of the schema the column that feeds it, or -1.
    ///   - isInOrder: an entity's rows come in order of time, so that one which seems to go back at the end of summer time is of the second hour.
    init(schema: EventSchema, header: [String], columns: [Int], isInOrder: Bool = false) throws {
        let entity = schema.fields[schema.entityIndex]
        let time = schema.fields[schema.timeIndex]
        if isInOrder, case .pattern(let pattern, let zone) = time.format, pattern.isLocal, zone != .utc { self.zone = zone } else { zone = nil }
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
        isInRepeatedHour = false
        hasTime = decoder.decode(columns: bytes, fields, binding)
        if hasTime {
            eventTime = decoder.eventTime
            entity.append(contentsOf: decoder.entity)
            if let zone { chooseHour(zone) }
        } else if entityColumn >= 0, entityColumn < fields.count {
            // One of the two is wrong. The text as it stands is the best key for an event that will be refused.
            entity.append(contentsOf: bytes[fields[entityColumn]])
        }
    }
}

extension RowKey {
    /// A time of the repeated hour that lies before the entity's last one is of the second of the two.
    private func chooseHour(_ zone: TimeZoneRules) {
        guard let later = zone.repetition(of: eventTime) else {
            // Entities need not leave the hour together.
            if !lastInHour.isEmpty, eventTime > newestInHour + 3_600_000 { lastInHour.removeAll() }
            return
        }
        let entity = FNV1a.hash(entity)
        if let last = lastInHour[entity], eventTime < last {
            eventTime = later
            isInRepeatedHour = true
        }
        lastInHour[entity] = eventTime
        newestInHour = max(newestInHour, eventTime)
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
