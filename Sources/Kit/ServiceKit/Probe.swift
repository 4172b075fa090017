import Glibc

/// Asks a service on this host for `/ready`: the health check of an image that has neither shell nor curl.
enum Probe {
    /// Seconds for the whole question.
    private static let limit = 2

    /// One connection to 127.0.0.1, or to ::1 where the service listens on IPv6 only; false when no answer with status 200 comes in time.
    static func isReady(port: Int) -> Bool {
        answers(port, family: AF_INET) || answers(port, family: AF_INET6)
    }

    private static func answers(_ port: Int, family: Int32) -> Bool {
        guard let connection = Loopback.connect(to: port, family: family, limit: limit) else { return false }
        defer { close(connection) }
        let request = Array("GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard send(connection, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
        // The status line is a few bytes in the answer's first packet.
        var answer = [UInt8](repeating: 0, count: 64)
        let count = recv(connection, &answer, answer.count, 0)
        guard count > 0 else { return false }
        let words = answer.prefix(count).split(separator: UInt8(ascii: " "), maxSplits: 2)
        return words.count > 1 && words[1].elementsEqual("200".utf8)
    }
}
