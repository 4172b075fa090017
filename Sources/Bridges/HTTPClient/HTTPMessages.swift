/// Methods of a request.
public enum HTTPMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
}

/// One header field.
public struct HTTPHeader: Sendable, Equatable {
    /// Name; compared without regard to case.
    public var name: String
    /// Value without the blanks around it.
    public var value: String

    /// A field by name and value.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What is asked of a server.
public struct HTTPRequest: Sendable {
    /// Method.
    public var method: HTTPMethod
    /// Absolute URL; its scheme is http or https.
    public var url: String
    /// Header fields; names are tokens and values hold no control characters.
    public var headers: [HTTPHeader]
    /// Body; sent with POST, PUT, and where it is not empty with DELETE.
    public var body: [UInt8]
    /// Longest time from the first step to the last byte, in milliseconds; nil takes the client's.
    public var timeout: Int?

    /// A request; a body has no `Content-Type` unless the headers name one.
    public init(_ method: HTTPMethod = .get, _ url: String, headers: [HTTPHeader] = [], body: [UInt8] = [], timeout: Int? = nil) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }
}

/// What a server answered, with any status.
public struct HTTPResponse: Sendable {
    /// Status, 200 to 599.
    public let status: Int
    /// Header fields in the order of arrival.
    public let headers: [HTTPHeader]
    /// Body as received; a content coding is undone only where the client accepts compression.
    public let body: [UInt8]
    /// Seconds that the server asks to wait, from `Retry-After` as a number or a date.
    public let retryAfter: Int?

    /// Value of the first field of that name.
    public func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }

    /// True for 200 to 299.
    public var isSuccess: Bool { (200..<300).contains(status) }
    /// The body as text; what is not UTF-8 is replaced by U+FFFD.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Why there is no response, in one sentence.
public struct HTTPClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of an error, for a decision in code; ``message`` is for people.
    public enum Kind: Sendable, Equatable {
        /// The URL or a header is wrong.
        case invalidRequest
        /// The host name is unknown or nobody listens.
        case unreachable
        /// The connect or the total timeout passed.
        case timeout
        /// The connection could not be secured, or the certificate is not trusted.
        case tls
        /// The connection broke before the response was complete; the server may have acted on the request.
        case connectionLost
        /// The response's content coding is unknown or its bytes are damaged.
        case undecodable
        /// The response was larger than the limit.
        case tooLarge
        /// The caller's `shouldContinue` ended it.
        case stopped
        /// Anything else that libcurl reports.
        case other
    }

    /// The class of the error.
    public let kind: Kind
    /// One sentence that names the server, never a query or a password.
    public let message: String
    /// Whether a later repeat of the same request may succeed.
    public var isRetryable: Bool {
        switch kind {
        case .unreachable, .timeout, .connectionLost, .undecodable: true
        case .invalidRequest, .tls, .tooLarge, .stopped, .other: false
        }
    }

    /// ``message``.
    public var description: String { message }

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// Limits of a client.
public struct HTTPClientSettings: Sendable, Equatable {
    /// Longest wait for a connection, with its name lookup and TLS, in milliseconds.
    public var connectTimeout = 3_000
    /// Longest time for a whole exchange, in milliseconds.
    public var timeout = 10_000
    /// Whether the server may compress its answers; they are expanded here, up to `maximumResponseBytes`.
    public var acceptsCompression = false
    /// Largest body of a response in bytes.
    public var maximumResponseBytes = 1 << 20
    /// Largest sum of the header fields of a response in bytes.
    public var maximumHeaderBytes = 64 << 10
    /// File of trusted certificates in PEM; nil trusts the system's.
    public var certificateAuthorityFile: String?
    /// Whether `http_proxy`, `https_proxy` and `no_proxy` are obeyed. The loopback addresses never go through a proxy.
    public var usesEnvironmentProxy = true
    /// Value of `User-Agent`.
    public var userAgent = "vyuha"

    /// The defaults.
    public init() {}
}
