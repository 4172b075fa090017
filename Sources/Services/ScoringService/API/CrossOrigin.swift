import HTTPServer

/// Which web pages of other origins may call ([CORS](https://fetch.spec.whatwg.org/#http-cors-protocol)): none, some or all (`*`).
/// Cookies play no part, so `*` gives a page no more than any other client has.
struct CrossOrigin: Sendable {
    private let origins: [String]
    private let allowsAll: Bool

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter list: `*`, or origins such as `https://example.org:8443` separated by commas.
    init(_ list: String) throws(Failure) {
        origins = list.split(separator: ",").map { $0.filter { $0 != " " } }
        allowsAll = origins == ["*"]
        guard !origins.isEmpty else { throw Failure(description: "Name at least one origin, or * for all.") }
        for origin in origins where !allowsAll {
            guard origin.hasPrefix("https://") || origin.hasPrefix("http://"), origin.split(separator: "/").count == 2, !origin.hasSuffix("/")
            else { throw Failure(description: "\"\(origin)\" is not an origin such as https://example.org, without a path.") }
        }
    }

    /// The answer to the question a browser asks before it sends a request with a JSON body.
    func preflight(_ request: borrowing HTTPServerRequest) -> HTTPServerResponse {
        var response = HTTPServerResponse(status: 204, contentType: nil)
        guard let origin = allowed(request) else { return .problem(403, "Pages of this origin may not call this service.") }
        response.headers = [
            ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Methods", "GET, POST"),
            ("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id"), ("Access-Control-Max-Age", "600"), ("Vary", "Origin"),
        ]
        return response
    }

    /// Lets the page that asked read the answer, where it may.
    func apply(to response: inout HTTPServerResponse, _ request: borrowing HTTPServerRequest) {
        if !allowsAll { response.headers.append(("Vary", "Origin")) }
        guard let origin = allowed(request) else { return }
        response.headers.append(("Access-Control-Allow-Origin", origin))
        response.headers.append(("Access-Control-Expose-Headers", "X-Request-Id, Retry-After"))
    }

    /// What to answer as the allowed origin; nil where there is none.
    private func allowed(_ request: borrowing HTTPServerRequest) -> String? {
        guard let origin = request.header("Origin") else { return nil }
        if allowsAll { return "*" }
        return origins.contains(origin) ? origin : nil
    }
}
