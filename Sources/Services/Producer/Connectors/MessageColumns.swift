import Features
import JSON
import MQTTClient
import UseCases

/// Takes the columns of a row out of an MQTT message: fields of its JSON object or the bare value that it is, levels of its topic, the time it came.
final class MessageColumns {
    let names: [String]
    /// Per field of the schema the column that feeds it.
    let named: [String: String]
    /// Of the message that was read last.
    @exclusivity(unchecked) private(set) var fields: [Range<Int>] = []
    var bytes: [UInt8] { object.bytes }

    private let source: SubscribedTopics
    private let object: JSONColumns
    /// Fields that levels of topics become, in the order of their columns.
    private let levels: [String]

    init(_ source: SubscribedTopics, schema: EventSchema) throws {
        self.source = source
        var format = FileFormat(file: "")
        format.columns = source.columns
        object = try JSONColumns(schema: schema, format: format, extra: source.id.map { [$0] } ?? [])
        levels = Set(source.filters.flatMap(\.fields.values)).sorted()
        var named = source.columns
        for field in levels { named[field] = "level \(field)" }
        if let field = source.value { named[field] = "payload" }
        if let field = source.arrival { named[field] = "arrival" }
        self.named = named
        names = object.names + levels.map { "level \($0)" } + ["payload", "arrival"]
    }

    /// - Parameter arrival: milliseconds since 1970.
    func read(_ message: MQTTMessage, arrival: Int64) -> SourceRow {
        if message.payload.isEmpty { return .unmappable(.empty, "The message has no bytes.") }
        var payload = 0..<0
        if source.value == nil {
            let row = object.read(message.payload, 0..<message.payload.count)
            guard case .event = row else { return row }
        } else {
            object.clear()
            payload = object.add(message.payload.trimmingBlanks)
        }
        fields = object.fields
        let parts = message.topic.split(separator: "/", omittingEmptySubsequences: false)
        let filter = source.filters.first { $0.matches(parts) }
        for field in levels {
            let place = filter?.fields.first { $0.value == field }?.key
            fields.append(place.map { object.add(parts[$0].utf8) } ?? 0..<0)
        }
        fields.append(payload)
        fields.append(source.arrival == nil ? 0..<0 : object.add("\(arrival)".utf8))
        return .event
    }
}

extension [UInt8] {
    fileprivate var trimmingBlanks: ArraySlice<UInt8> {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else { return [] }
        return self[first...last]
    }
}
