import Glibc
import HTTPServer
import Synchronization

/// Who may call: the bearer tokens of a file ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)), one a line, reloaded when it changes.
///
/// Empty lines and lines that begin with `#` are left out. Several tokens make a change without an outage possible: add the new one, move
/// the clients, remove the old one. A file that cannot be used any more leaves the tokens as they were and is logged.
public final class BearerTokens: Sendable {
    /// Shorter tokens could be guessed.
    public static let minimumBytes = 16

    private let path: String
    private let current: Mutex<State>

    private struct State {
        var tokens: [[UInt8]]
        var stamp: Stamp
    }

    /// What changes when a file does, also when another takes its place by a rename or a changed link.
    private struct Stamp: Equatable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Reads the file; throws a sentence where it cannot be used.
    public init(file: String) throws(Failure) {
        path = file
        let (tokens, stamp) = try Self.read(file)
        current = Mutex(State(tokens: tokens, stamp: stamp))
    }

    public var count: Int { current.withLock { $0.tokens.count } }

    /// Looks for a change every half second, on a thread of its own.
    public func watch(_ service: Service) {
        let reloads = service.metrics.counter("vyuha_api_token_reloads_total", "Times that the file of API tokens was read anew.")
        let failures = service.metrics.counter(
            "vyuha_api_token_reload_failures_total", "Times that the file of API tokens had changed and could not be used.")
        Threads.start("api-tokens") { [self] in
            var refused: Stamp?
            while !service.life.isStopping {
                Clock.sleep(milliseconds: 500)
                let stamp = Self.stamp(path)
                guard stamp != current.withLock({ $0.stamp }), stamp != refused else { continue }
                do {
                    let (tokens, stamp) = try Self.read(path)
                    current.withLock { $0 = State(tokens: tokens, stamp: stamp) }
                    refused = nil
                    reloads.add()
                    service.log.info("the API tokens were reloaded", ["tokens": tokens.count])
                } catch {
                    refused = stamp
                    failures.add()
                    service.log.error("the API tokens could not be reloaded; the old ones stay", ["error": "\(error)"])
                }
            }
        }
    }

    /// Whether the request may pass. The time that this takes depends on the length of what was sent and on how many tokens there are and
    /// how long they are, not on where they differ.
    public func allows(_ request: borrowing HTTPServerRequest) -> Bool {
        guard let header = request.header("Authorization") else { return false }
        let sent = Array(header.utf8)
        let scheme = Array("bearer ".utf8)
        guard sent.count > scheme.count, zip(sent, scheme).allSatisfy({ $0 == $1 || $0 | 0x20 == $1 }) else { return false }
        let token = sent[scheme.count...]
        return current.withLock { state in
            var found: UInt8 = 0
            for known in state.tokens { found |= Self.isEqual(token, known) }
            return found == 1
        }
    }

    /// 401, with what the client should send.
    public static var challenge: HTTPServerResponse {
        .problem(
            401, "Send one of the tokens of this service in the header `Authorization: Bearer TOKEN`.",
            headers: [("WWW-Authenticate", "Bearer")])
    }

    /// 1 where both are the same bytes, else 0; looks at every byte of `sent` in either case.
    static func isEqual(_ sent: ArraySlice<UInt8>, _ known: [UInt8]) -> UInt8 {
        var difference = sent.count ^ known.count
        for (index, byte) in sent.enumerated() { difference |= Int(byte ^ known[index % known.count]) }
        return difference == 0 ? 1 : 0
    }

    private static func read(_ path: String) throws(Failure) -> ([[UInt8]], Stamp) {
        guard let stamp = stamp(path), let file = fopen(path, "re") else {
            throw Failure(description: "The file of API tokens \(path) cannot be read (\(String(cString: strerror(errno)))).")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count < bytes.count else { throw Failure(description: "The file of API tokens \(path) is larger than 1 MiB.") }
        var tokens: [[UInt8]] = []
        for (number, line) in bytes[..<count].split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            var token = line
            while let last = token.last, last == 0x20 || last == 0x09 || last == 0x0D { token.removeLast() }
            while let first = token.first, first == 0x20 || first == 0x09 { token.removeFirst() }
            guard let first = token.first, first != 0x23 else { continue }
            guard token.count >= minimumBytes, token.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Failure(
                    description: "\(path):\(number + 1): a token is at least \(minimumBytes) visible ASCII characters without blanks.")
            }
            tokens.append(Array(token))
        }
        guard !tokens.isEmpty else {
            throw Failure(description: "The file of API tokens \(path) holds no token; without one nobody could call this service.")
        }
        return (tokens, stamp)
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            inode: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    }
}
