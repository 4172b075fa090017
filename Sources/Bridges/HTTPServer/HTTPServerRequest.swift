import CMicroHTTPD
import Glibc

/// Methods that a handler may see.
public enum HTTPServerMethod: Sendable, Equatable {
    /// GET, and HEAD, whose answer the server sends without its body.
    case get
    case post, put, delete, patch, options
    /// Any other: no path of ours takes it, so that it is answered with 405.
    case other

    /// The method by its name in the request line.
    init(_ name: UnsafePointer<CChar>) {
        func matches(_ method: StaticString) -> Bool {
            strcmp(name, UnsafeRawPointer(method.utf8Start).assumingMemoryBound(to: CChar.self)) == 0
        }
        if matches("POST") {
            self = .post
        } else if matches("GET") || matches("HEAD") {
            self = .get
        } else if matches("PUT") {
            self = .put
        } else if matches("DELETE") {
            self = .delete
        } else if matches("PATCH") {
            self = .patch
        } else if matches("OPTIONS") {
            self = .options
        } else {
            self = .other
        }
    }
}

/// A complete request, valid only inside the handler: it cannot be copied or kept. Texts are made only when asked for.
public struct HTTPServerRequest: ~Copyable {
    /// The method.
    public let method: HTTPServerMethod
    /// The body; its memory is used again for the connection's next request unless the handler keeps it.
    public let body: [UInt8]
    private let url: UnsafePointer<CChar>
    private let connection: OpaquePointer

    init(method: HTTPServerMethod, body: [UInt8], url: UnsafePointer<CChar>, connection: OpaquePointer) {
        self.method = method
        self.body = body
        self.url = url
        self.connection = connection
    }

    /// The path, percent-decoded and without the query.
    public var path: String { String(cString: url) }

    /// Whether the path is this one, compared byte by byte without making a string.
    public func isPath(_ path: StaticString) -> Bool {
        strlen(url) == path.utf8CodeUnitCount && hasPathPrefix(path)
    }

    /// Whether the path is these bytes.
    func isPath(_ path: [UInt8]) -> Bool {
        strlen(url) == path.count && path.withUnsafeBytes { bytes in bytes.baseAddress.map { memcmp(url, $0, bytes.count) == 0 } ?? true }
    }

    /// Whether the path begins with this, without making a string.
    public func hasPathPrefix(_ prefix: StaticString) -> Bool {
        prefix.withUTF8Buffer { bytes in
            strncmp(url, UnsafeRawPointer(prefix.utf8Start).assumingMemoryBound(to: CChar.self), bytes.count) == 0
        }
    }

    /// The first value of a field of the query, percent-decoded; empty for a field without a value.
    public func query(_ name: String) -> String? { value(name, .GET_ARGUMENT_KIND) }

    /// The first value of a header field; names are compared without regard to case.
    public func header(_ name: String) -> String? { value(name, .HEADER_KIND) }

    private func value(_ name: String, _ kind: MHD_ValueKind) -> String? {
        var text: UnsafePointer<CChar>?
        var count = 0
        guard MHD_lookup_connection_value_n(connection, kind, name, name.utf8.count, &text, &count) == .YES else { return nil }
        guard let text else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
    }
}
