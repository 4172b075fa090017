import Features
import HTTPServer
import JSON

/// The body of a 422: FastAPI's shape, which clients of such services already read.
/// `{"detail":[{"loc":["body",3,"meta","location"],"msg":"…","type":"missing-field"}]}`
struct ValidationErrors {
    /// Enough to see what is wrong with a large array; the rest is counted.
    static let maximum = 200

    private let schema: EventSchema
    private var details: [JSONValue] = []
    private var left = 0

    init(schema: EventSchema) { self.schema = schema }

    var isEmpty: Bool { details.isEmpty }
    /// True when no further error would be shown.
    var isFull: Bool { details.count >= Self.maximum }

    mutating func removeAll() {
        details.removeAll()
        left = 0
    }

    /// - Parameter element: position in the array that was sent; nil for a single event.
    mutating func add(_ errors: [FieldError], element: Int?) {
        for error in errors {
            guard !isFull else { return left += 1 }
            var location: [JSONValue] = ["body"]
            if let element { location.append(.integer(Int64(element))) }
            location += path(error.field)
            add(location, error.message, error.reason.rawValue)
        }
    }

    mutating func add(_ location: [JSONValue], _ message: String, _ type: String) {
        details.append(["loc": .array(location), "msg": .string(message), "type": .string(type)])
    }

    /// The parts of a field's path in the document; an error names a field by its name in the schema, or an unknown one by its path.
    private func path(_ field: String) -> [JSONValue] {
        if field.isEmpty { return [] }
        let path = schema.index(of: field).map { schema.fields[$0].path } ?? field
        return path.split(separator: ".", omittingEmptySubsequences: false).map { .string(String($0)) }
    }

    var response: HTTPServerResponse {
        var members = [JSONMember("detail", .array(details))]
        if left > 0 { members.append(JSONMember("more", .integer(Int64(left)))) }
        return HTTPServerResponse(status: 422, body: JSONValue.object(members).serialized)
    }
}
