import Foundation

/// A bare TCP connection to a service on the loopback address, to say what no HTTP client would.
final class RawConnection {
    /// Nobody listens at the port.
    struct Refused: Error {}

    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let socket = descriptor
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
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

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

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

    /// True where the service has ended the connection by now; does not wait.
    var hasEnded: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
        return count == 0 || (count < 0 && errno != EAGAIN)
    }
}
