import Glibc
import TestSupport
import Testing

/// A bare TCP connection to a server on the loopback address, to say what no HTTP client would.
final class RawClient {
    /// Nobody listens at the port.
    struct Refused: Error {}

    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = try withUnsafeBytes(of: &address) { bytes in
            connect(
                descriptor, try #require(bytes.baseAddress).assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        if code != 0 {
            close(descriptor)
            throw Refused()
        }
        // A test that waits in vain fails instead of hanging.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return }
            sent += count
        }
    }

    /// Says that nothing more will be sent.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// What arrives until the condition holds or the connection ends.
    func receive(until condition: (String) -> Bool = { _ in false }) -> String {
        var received: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let text = String(decoding: received, as: UTF8.self)
            if condition(text) { return text }
            let count = recv(descriptor, &part, part.count, 0)
            if count <= 0 { return text }
            received += part[..<count]
        }
    }

    /// True where the server has ended the connection by now; does not wait.
    var hasEnded: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
        return count == 0 || (count < 0 && errno != EAGAIN)
    }

    /// True where the server ends or resets the connection within the time limit of the socket.
    func isClosedByServer() -> Bool {
        var byte: UInt8 = 0
        while true {
            let count = recv(descriptor, &byte, 1, 0)
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN }
        }
    }
}

/// A server that reads and writes bytes as a test says, one connection after another, on a thread of its own.
final class RawServer: @unchecked Sendable {
    let port: Int
    private let listener: Int32
    private var thread = pthread_t()
    private let serve: @Sendable (Int32) -> Void

    init(_ serve: @escaping @Sendable (Int32) -> Void) throws {
        self.serve = serve
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        try withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = try #require(bytes.baseAddress).assumingMemoryBound(to: sockaddr.self)
            try #require(bind(descriptor, pointer, length) == 0 && listen(descriptor, 16) == 0)
            try #require(getsockname(descriptor, pointer, &length) == 0)
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let server = Unmanaged<RawServer>.fromOpaque(argument).takeUnretainedValue()
                while true {
                    let peer = accept(server.listener, nil, nil)
                    if peer < 0 { return nil }
                    server.serve(peer)
                    close(peer)
                }
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        pthread_join(thread, nil)
        close(listener)
    }
}
