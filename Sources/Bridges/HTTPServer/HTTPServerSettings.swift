/// Where a server listens and what it allows.
public struct HTTPServerSettings: Sendable, Equatable {
    /// Address or host name to listen on; `0.0.0.0` is every IPv4 interface, `::` every interface.
    public var host: String
    /// TCP port; 0 takes a free one, see ``HTTPServer/port``.
    public var port: Int
    /// Threads that receive, call the handler and send, from 1. Connections are spread over them.
    public var threads = 1
    /// Largest body of a request in bytes; a larger one is answered with 413.
    public var maximumBodyBytes = 1 << 20
    /// Largest request line and header fields together in bytes, at least 1024; more is answered with 431 or 414. Each
    /// connection takes about twice this memory.
    public var maximumHeaderBytes = 16 << 10
    /// Seconds without a byte moving after which a connection is closed, from 1.
    public var idleTimeout = 30
    /// Seconds that one request may take to arrive and be answered, on top of ``idleTimeout``, without the time in the handler:
    /// a client that sends a byte now and then is cut off, although it is never idle. At least 1; accurate to half a second.
    public var requestTimeout = 30
    /// Most connections at a time; further ones wait in the queue of the system until one is closed.
    public var maximumConnections = 512
    /// Most requests between the arrival of their headers and the end of their answer; a further one is answered at once with 503 and
    /// `Retry-After: 1`, and its connection closed.
    public var maximumRequests = Int.max
    /// Whether each answer carries `X-Request-Id`: the request's own where it has a usable one (1 to 128 visible ASCII characters), a new
    /// one otherwise. About 0.2 µs.
    public var repeatsRequestID = true
    /// Serves HTTPS (TLS 1.2 and 1.3) instead of plain HTTP.
    public var tls: HTTPServerTLS?

    /// A server for this machine only, on a free port, unless told otherwise.
    public init(host: String = "127.0.0.1", port: Int = 0) {
        self.host = host
        self.port = port
    }
}

/// Why a server cannot start, in one sentence.
public struct HTTPServerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public let message: String
    /// ``message``.
    public var description: String { message }

    init(_ message: String) { self.message = message }
}
