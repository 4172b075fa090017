import Glibc
import ServiceKit
import Synchronization

/// The requests of Kafka's protocol that the tests speak of (ApiKey).
public enum KafkaRequest: Int16, Sendable {
    case produce = 0
    case fetch, listOffsets, metadata
    case offsetCommit = 8
    case offsetFetch, findCoordinator
    case apiVersions = 18
    case initProducerID = 22
}

/// Stands between Kafka clients and one broker on the loopback address: counts their requests, and answers chosen ones with an error first, as
/// a broker does that is not ready yet. The request itself reaches the broker all the same.
///
/// The addresses in the broker's answers are replaced by its own, so that clients stay with it; the versions of the requests whose answers it
/// changes are kept low enough to be read here.
///
/// `@unchecked Sendable`: what changes is in the mutex, a connection's own is its threads'.
public final class KafkaProxy: @unchecked Sendable {
    public enum Fault: Sendable {
        /// Kafka's error code, in every place of the answer that has one.
        case error(Int16)
        /// The connection ends instead of an answer.
        case disconnect
    }

    private struct State {
        var counts: [Int16: Int] = [:]
        var faults: [Int16: [Fault]] = [:]
        var sockets: [Int32] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let listener: Int32
    private let brokerPort: UInt16
    private let port: UInt16

    /// `host:port` for clients.
    public var bootstrapServers: String { "127.0.0.1:\(port)" }

    public init(to bootstrapServers: String) throws {
        guard let broker = bootstrapServers.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw TestSupportError("\(bootstrapServers) is no address of a broker.")
        }
        brokerPort = broker
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = Self.with(&address) { bind(listener, $0, length) } == 0 && listen(listener, 64) == 0
        let named = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { getsockname(listener, $0.baseAddress, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard bound, named == 0 else { throw TestSupportError("The proxy cannot listen.") }
        Self.thread { [self] in accept() }
    }

    deinit { close() }

    /// Answers the next requests of a kind in this way, in this order; those after them as the broker does.
    public func answer(_ request: KafkaRequest, with fault: Fault, times: Int = 1) {
        state.withLock { $0.faults[request.rawValue, default: []] += Array(repeating: fault, count: times) }
    }

    /// Faults that no request has met yet.
    public func pending(_ request: KafkaRequest) -> Int { state.withLock { $0.faults[request.rawValue]?.count ?? 0 } }

    /// Requests of a kind so far.
    public func count(_ request: KafkaRequest) -> Int { state.withLock { $0.counts[request.rawValue] ?? 0 } }

    public func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.isClosed = true
            for socket in state.sockets + [listener] { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    // MARK: Connections

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { break }
            let broker = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(brokerPort)
            let isUp = Self.with(&address) { connect(broker, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
            let isOpen = state.withLock { state in
                if !state.isClosed { state.sockets += [client, broker] }
                return !state.isClosed
            }
            for socket in [client, broker] {
                var on: Int32 = 1
                setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
                if !isUp || !isOpen { shutdown(socket, Int32(SHUT_RDWR)) }
            }
            let connection = Connection(client: client, broker: broker)
            Self.thread { [self] in forwardRequests(connection) }
            Self.thread { [self] in forwardAnswers(connection) }
        }
        Glibc.close(listener)
    }

    /// Requests on their way, by correlation id.
    private final class Connection: Sendable {
        let client: Int32
        let broker: Int32
        let waiting = Mutex<[Int32: (request: Int16, version: Int16, fault: Fault?)]>([:])
        private let ended = Atomic<Int>(0)

        init(client: Int32, broker: Int32) {
            self.client = client
            self.broker = broker
        }

        /// - Returns: whether both threads are at their end.
        func end() -> Bool {
            for socket in [client, broker] { shutdown(socket, Int32(SHUT_RDWR)) }
            return ended.add(1, ordering: .relaxed).newValue == 2
        }
    }

    /// Called by each of the two threads; the second closes. A descriptor that is closed is nobody's here: its number may be another's at once.
    private func end(_ connection: Connection) {
        guard connection.end() else { return }
        let sockets = [connection.client, connection.broker]
        state.withLock { state in
            state.sockets.removeAll(where: sockets.contains)
            for socket in sockets { Glibc.close(socket) }
        }
    }

    private func forwardRequests(_ connection: Connection) {
        while let frame = KafkaFrame.read(connection.client) {
            let (request, version, correlation) = (frame.int16(at: 0), frame.int16(at: 2), frame.int32(at: 4))
            let fault = state.withLock { state -> Fault? in
                state.counts[request, default: 0] += 1
                guard state.faults[request]?.isEmpty == false else { return nil }
                return state.faults[request]?.removeFirst()
            }
            if case .disconnect = fault { break }
            if KafkaRequest(rawValue: request) == .apiVersions, version > 0 {
                // UNSUPPORTED_VERSION: the client asks again in the version that is read here.
                guard KafkaFrame.answer(correlation, [0, 35, 0, 0, 0, 0]).write(connection.client) else { break }
                continue
            }
            connection.waiting.withLock { $0[correlation] = (request, version, fault) }
            guard frame.write(connection.broker) else { break }
        }
        end(connection)
    }

    private func forwardAnswers(_ connection: Connection) {
        while var frame = KafkaFrame.read(connection.broker) {
            let correlation = frame.int32(at: 0)
            if let (request, version, fault) = connection.waiting.withLock({ $0.removeValue(forKey: correlation) }) {
                var code: Int16?
                if case .error(let error) = fault { code = error }
                frame.rewrite(KafkaRequest(rawValue: request), version, port: Int32(port), error: code)
            }
            guard frame.write(connection.client) else { break }
        }
        end(connection)
    }

    // MARK: Sockets

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        return address
    }

    private static func with<R>(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>) -> R) -> R {
        withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) { Threads.start("kafka-proxy", body) }
}
