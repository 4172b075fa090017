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
    /// What comes after the header fields instead of a body.
    var continuation = Continuation.none

    enum Continuation {
        case none
        case webSocket(WebSocketHandler)
        case events(EventStream)
    }

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

    /// An error as a problem document of the type `about:blank` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):
    /// `{"type":"about:blank","title":"Not Found","status":404,"detail":"…"}`.
    ///
    /// - Parameter detail: one sentence that tells the client what to do.
    public static func problem(
        _ status: Int, _ detail: String, headers: [(name: StaticString, value: String)] = []
    ) -> HTTPServerResponse {
        var text = #"{"type":"about:blank","title":""# + reasonPhrase(status) + #"","status":"# + String(status) + #","detail":""#
        for character in detail.unicodeScalars {
            switch character {
            case "\"", "\\": text += "\\" + String(character)
            case _ where character.value < 0x20: text += " "
            default: text.unicodeScalars.append(character)
            }
        }
        text += "\"}"
        return HTTPServerResponse(status: status, contentType: "application/problem+json", headers: headers, body: Array(text.utf8))
    }

    /// 404 as a problem document.
    public static var notFound: HTTPServerResponse { problem(404, "There is nothing at this path.") }

    /// 405 as a problem document with the methods that are allowed: `methodNotAllowed(allow: "GET, HEAD")`.
    public static func methodNotAllowed(allow: String) -> HTTPServerResponse {
        problem(405, "This path takes only \(allow).", headers: [("Allow", allow)])
    }

    /// The phrases of [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-15) that a server of ours sends.
    private static func reasonPhrase(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        default: status < 500 ? "Client Error" : "Server Error"
        }
    }
}
