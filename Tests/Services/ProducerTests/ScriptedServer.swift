import Foundation
import Synchronization

/// An HTTP server of a test's own that answers as the test says, byte for byte, wrong on purpose where that is the test. One connection a request.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        /// Path and query.
        var target: String
        var head: String
        /// Seconds since 1970.
        var time: Double
    }

    let port: Int
    private let descriptor: Int32
    private let requests = Mutex<[Request]>([])

    /// - Parameter answer: the number of the request, from 0, and what it asks for; the bytes of the answer, or nil to close without one.
    init(_ answer: @escaping @Sendable (Int, Request) -> [UInt8]?) throws {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = made
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(made, pointer, length) == 0 && listen(made, 16) == 0 && getsockname(made, pointer, &length) == 0
            }
        }
        guard bound else { throw CocoaError(.fileNoSuchFile) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(made, nil, nil)
                // The descriptor is closed here alone: closed elsewhere, its number could be another server's by the next `accept`.
                guard connection >= 0 else {
                    close(made)
                    return
                }
                Self.serve(connection) { head in
                    guard let self else { return nil }
                    let words = head.split(separator: " ")
                    let request = Request(target: words.count > 1 ? String(words[1]) : "", head: head, time: Date().timeIntervalSince1970)
                    let number = self.requests.withLock {
                        $0.append(request)
                        return $0.count - 1
                    }
                    return answer(number, request)
                }
            }
        }
    }

    deinit { shutdown(descriptor, Int32(SHUT_RDWR)) }

    var seen: [Request] { requests.withLock { $0 } }
    var url: String { "http://127.0.0.1:\(port)/readings" }

    private static func serve(_ connection: Int32, _ answer: (String) -> [UInt8]?) {
        defer { close(connection) }
        var head: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return }
            head += buffer[..<count]
        }
        guard let bytes = answer(String(decoding: head, as: UTF8.self)) else { return }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// A whole answer.
    static func answer(_ body: [UInt8], status: Int = 200, _ fields: [String] = ["Content-Type: application/json"]) -> [UInt8] {
        let head = ["HTTP/1.1 \(status) Whatever", "Content-Length: \(body.count)", "Connection: close"] + fields
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
    }

    static func answer(_ body: String, status: Int = 200, _ fields: [String] = ["Content-Type: application/json"]) -> [UInt8] {
        answer(Array(body.utf8), status: status, fields)
    }
}
