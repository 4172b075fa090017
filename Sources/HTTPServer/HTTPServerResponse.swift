/// What a handler answers.
public struct HTTPServerResponse: Sendable {
    /// Status, 200 to 599.
    public var status: Int
    /// Media type of the body; nil sends none.
    public var contentType: StaticString?
    /// Further header fields. Control characters in a value are replaced by blanks.
    public var headers: [(name: StaticString, value: String)]
    /// Body; left out by the server where the request was HEAD.
    public var body: [UInt8]

    /// A response; JSON unless told otherwise.
    public init(
        status: Int = 200, contentType: StaticString? = "application/json", headers: [(name: StaticString, value: String)] = [],
        body: [UInt8] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    /// Plain text.
    public static func text(_ text: String, status: Int = 200) -> HTTPServerResponse {
        HTTPServerResponse(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    /// 404.
    public static var notFound: HTTPServerResponse { text("There is nothing at this path.\n", status: 404) }

    /// 405 with the methods that are allowed: `methodNotAllowed(allow: "GET, HEAD")`.
    public static func methodNotAllowed(allow: StaticString) -> HTTPServerResponse {
        var response = text("This path does not take this method.\n", status: 405)
        response.headers = [("Allow", "\(allow)")]
        return response
    }
}
