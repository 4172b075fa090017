import Glibc
import JSON

/// What clients may ask for: a method, a path, and how it is documented.
public struct HTTPOperation: Sendable {
    /// The method; GET stands for HEAD too.
    public let method: HTTPServerMethod
    /// The path; a segment in braces is a parameter: `/api/entities/{entity}/series`. It is the metrics' label too.
    public let path: String
    /// The [operation object](https://spec.openapis.org/oas/v3.1.1.html#operation-object) of OpenAPI; nil leaves it out of the document.
    public let documentation: JSONValue?

    public init(_ method: HTTPServerMethod, _ path: String, _ documentation: JSONValue? = nil) {
        self.method = method
        self.path = path
        self.documentation = documentation
    }

    /// OpenAPI's `paths` of all operations that are documented, in their order.
    public static func openAPIPaths(_ operations: [HTTPOperation]) -> JSONValue {
        var paths: [JSONMember] = []
        for operation in operations {
            guard let documentation = operation.documentation else { continue }
            let member = JSONMember(operation.method.lowercaseName, documentation)
            if let known = paths.firstIndex(where: { $0.name == operation.path }), case .object(let members) = paths[known].value {
                paths[known] = JSONMember(operation.path, .object(members + [member]))
            } else {
                paths.append(JSONMember(operation.path, .object([member])))
            }
        }
        return .object(paths)
    }
}

/// An operation and who answers it.
public struct HTTPRoute: Sendable {
    public typealias Handler = @Sendable (borrowing HTTPServerRequest, HTTPPathParameters) -> HTTPServerResponse

    public let operation: HTTPOperation
    public var handler: Handler

    public init(_ operation: HTTPOperation, handler: @escaping Handler) {
        self.operation = operation
        self.handler = handler
    }
}

/// The values of the segments in braces, in the path's order.
public struct HTTPPathParameters: Sendable {
    let values: [String]
    /// The value of the parameter at this place, which the path must have.
    public subscript(index: Int) -> String { values[index] }
}

/// Every route of a server: the one place that says which path there is. An exact path is found without making a string; about 5 ns for
/// each route before it.
public struct HTTPRoutes: Sendable {
    private struct Path {
        let text: [UInt8]
        /// Nil where no segment is a parameter.
        let segments: [Substring]?
        var routes: [(method: HTTPServerMethod, index: Int)]
        var allow: String
    }

    public let routes: [HTTPRoute]
    private let paths: [Path]

    public init(_ routes: [HTTPRoute]) {
        self.routes = routes
        var paths: [Path] = []
        for (index, route) in routes.enumerated() {
            let text = Array(route.operation.path.utf8)
            let method = route.operation.method
            if let known = paths.firstIndex(where: { $0.text == text }) {
                paths[known].routes.append((method, index))
                paths[known].allow += ", " + method.allowedNames
            } else {
                let segments = route.operation.path.contains("{") ? HTTPRoutes.segments(route.operation.path[...]) : nil
                paths.append(Path(text: text, segments: segments, routes: [(method, index)], allow: method.allowedNames))
            }
        }
        self.paths = paths
    }

    /// The answer and the route's index; 405 where the path takes other methods only, nil where there is no such path.
    public func answer(_ request: borrowing HTTPServerRequest) -> (response: HTTPServerResponse, route: Int?)? {
        for path in paths where path.segments == nil && request.isPath(path.text) { return answer(request, path, []) }
        guard paths.contains(where: { $0.segments != nil }) else { return nil }
        let asked = HTTPRoutes.segments(request.path[...])
        for path in paths {
            if let values = path.segments.flatMap({ HTTPRoutes.match(asked, $0) }) { return answer(request, path, values) }
        }
        return nil
    }

    private func answer(
        _ request: borrowing HTTPServerRequest, _ path: Path, _ values: [String]
    ) -> (response: HTTPServerResponse, route: Int?) {
        for (method, index) in path.routes where method == request.method {
            return (routes[index].handler(request, HTTPPathParameters(values: values)), index)
        }
        return (.methodNotAllowed(allow: path.allow), nil)
    }

    private static func segments(_ path: Substring) -> [Substring] { path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) }

    private static func match(_ asked: [Substring], _ known: [Substring]) -> [String]? {
        guard asked.count == known.count else { return nil }
        var values: [String] = []
        for (asked, known) in zip(asked, known) {
            if known.hasPrefix("{") {
                guard !asked.isEmpty else { return nil }
                values.append(String(asked))
            } else if asked != known {
                return nil
            }
        }
        return values
    }
}

extension HTTPServerMethod {
    var lowercaseName: String { "\(self)" }
    fileprivate var allowedNames: String { self == .get ? "GET, HEAD" : lowercaseName.uppercased() }
}
