import Features
import Testing

@Suite("A schema checks itself")
struct SchemaTests {
    static let time = EventField("t", .timestamp)
    static let entity = EventField("id", .string)

    static let mistakes: [(String, [EventField], key: String, says: String)] = [
        ("no field", [], "fields", "between 1 and"),
        ("two fields of one name", [entity, time, entity], "", "declared twice"),
        ("a name with a space", [entity, time, EventField("a b", .number)], "", "not a usable field name"),
        ("a reserved name", [entity, time, EventField("and", .number)], "", "expression language"),
        ("bounds on text", [entity, time, EventField("s", .string, minimum: 1)], "min", "for numbers"),
        ("empty bounds", [entity, time, EventField("x", .number, minimum: 2, maximum: 1)], "max", "leave no value"),
        ("an open point", [entity, time, EventField("x", .number, minimum: 1, below: 1)], "below", "leave no value"),
        ("min and above", [entity, time, EventField("x", .number, minimum: 1, above: 1)], "above", "keep one"),
        ("a default outside", [entity, time, EventField("x", .number, defaultValue: .number(5), maximum: 1)], "default", "outside"),
        ("a default of another type", [entity, time, EventField("x", .number, defaultValue: .string("a"))], "default", "type number"),
        (
            "a default not in the values", [entity, time, EventField("s", .string, defaultValue: .string("c"), values: [.string("a")])],
            "default", "none of"
        ),
        ("values of another type", [entity, time, EventField("n", .integer, values: [.number(1.5)])], "values", "type integer"),
        ("a value twice", [entity, time, EventField("s", .string, values: [.string("a"), .string("a")])], "values", "twice"),
        ("one path twice", [entity, time, EventField("x", .number, path: "id")], "path", "same path"),
        ("a path inside a value", [entity, time, EventField("x", .number, path: "id.x")], "path", "inside the field"),
        ("an empty part of a path", [entity, time, EventField("x", .number, path: "a..x")], "path", "empty part"),
        ("a number as entity", [EventField("id", .number), time], "type", "string or integer"),
        ("an optional entity", [EventField("id", .string, isRequired: false), time], "required", "must be required"),
        ("text as time", [entity, EventField("t", .string)], "type", "timestamp"),
        ("an unknown time field", [entity, EventField("tt", .timestamp)], "time", "Did you mean `tt`"),
    ]

    @Test("contradictions are refused with the key at fault", arguments: mistakes)
    func refusesContradictions(_ mistake: (String, [EventField], key: String, says: String)) {
        let error = #expect(throws: SchemaError.self) { try EventSchema(fields: mistake.1, entity: "id", time: "t") }
        #expect(error?.key ?? "" == mistake.key)
        #expect(error?.message.contains(mistake.says) == true, "\(error?.message ?? "")")
    }

    @Test("patterns are checked", arguments: ["%Y-%m", "%Q", "%Y-%m-%d %", "%Y %Y-%m-%d", "%d/%m", "%Y-%m-%d %I:%M"])
    func refusesPatterns(_ text: String) {
        #expect(throws: SchemaError.self) { try TimestampPattern(text) }
    }
}
