import CMicroHTTPD
import Glibc
import Synchronization

/// What libmicrohttpd's callbacks work on; shared by all threads of a server.
final class ServerCore: Sendable {
    let handler: @Sendable (borrowing HTTPServerRequest) -> HTTPServerResponse
    let maximumBodyBytes: Int
    /// Requests whose headers have arrived and whose answer is not sent yet.
    let inFlight = Atomic<Int>(0)
    let isStopping = Atomic<Bool>(false)
    /// Open connections, for the watch.
    let connections = Mutex<[ObjectIdentifier: Watched]>([:])
    /// The thread of the WebSockets.
    let sockets: SocketLoop
    /// Streams of events that are open, for the stop.
    private let streams = Mutex<[ObjectIdentifier: EventStream]>([:])
    private let requestSeconds: Int
    private let maximumRequests: Int
    private let requestIDs: RequestIDs?

    /// A connection and when it last made progress.
    struct Watched {
        let connection: Connection
        var progress: UInt64
        var since: Int
    }

    init(_ settings: HTTPServerSettings, _ handler: @escaping @Sendable (borrowing HTTPServerRequest) -> HTTPServerResponse) throws(HTTPServerError) {
        sockets = try SocketLoop()
        self.handler = handler
        maximumBodyBytes = max(0, settings.maximumBodyBytes)
        requestSeconds = max(1, settings.idleTimeout) + max(1, settings.requestTimeout)
        maximumRequests = max(1, settings.maximumRequests)
        requestIDs = settings.repeatsRequestID ? RequestIDs() : nil
    }

    static func at(_ pointer: UnsafeMutableRawPointer) -> ServerCore {
        Unmanaged<ServerCore>.fromOpaque(pointer).takeUnretainedValue()
    }

    // MARK: Connections

    func opened(_ connection: Connection) {
        connections.withLock { $0[ObjectIdentifier(connection)] = Watched(connection: connection, progress: 0, since: monotonicSeconds()) }
    }

    /// libmicrohttpd closes the descriptor only after this, so that the watch never shuts down another's.
    func closed(_ connection: Connection) {
        connections.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    /// Cuts off connections on which no request was completed for too long, although bytes may trickle in.
    func cutOffSlow() {
        let time = monotonicSeconds()
        connections.withLock { watched in
            for (key, entry) in watched {
                let progress = entry.connection.progress.load(ordering: .relaxed)
                let isDetached = entry.connection.isDetached.load(ordering: .relaxed)
                if isDetached || progress != entry.progress || entry.connection.isInHandler.load(ordering: .relaxed) {
                    watched[key]?.progress = progress
                    watched[key]?.since = time
                } else if time - entry.since >= requestSeconds {
                    shutdown(entry.connection.descriptor, Int32(SHUT_RDWR))
                }
            }
        }
    }

    // MARK: Requests

    /// The headers have arrived.
    func begin(_ connection: Connection, _ handle: OpaquePointer, _ method: UnsafePointer<CChar>) -> MHD_Result {
        let others = inFlight.wrappingAdd(1, ordering: .relaxed).oldValue
        connection.reset()
        if others >= maximumRequests { return answer(connection, handle, .overloaded) }
        connection.method = HTTPServerMethod(method)
        connection.state = .body
        if connection.method == .get { return .YES }
        guard let declared = length(handle), declared > maximumBodyBytes else { return .YES }
        connection.state = .tooLarge
        // A client that waits for 100, or sends more than is worth receiving, is answered now and the connection closed. Others
        // are read to the end first: closing on unread bytes resets the connection, and the answer could be lost on its way.
        let waits = MHD_lookup_connection_value(handle, .HEADER_KIND, "Expect") != nil
        return waits || declared > maximumBodyBytes + Self.maximumDiscarded ? answer(connection, handle, .tooLarge) : .YES
    }

    /// A part of the body has arrived; false closes the connection.
    func receive(_ connection: Connection, _ data: UnsafeRawBufferPointer) -> Bool {
        switch connection.state {
        case .body:
            if connection.body.count + data.count <= maximumBodyBytes {
                connection.body.append(contentsOf: data)
                return true
            }
            connection.state = .tooLarge
            connection.body = []
            fallthrough
        default:
            connection.discarded += data.count
            return connection.discarded <= maximumBodyBytes + Self.maximumDiscarded
        }
    }

    /// The request is complete.
    func finish(_ connection: Connection, _ handle: OpaquePointer, _ url: UnsafePointer<CChar>) -> MHD_Result {
        switch connection.state {
        case .body:
            connection.isInHandler.store(true, ordering: .relaxed)
            let response = call(connection, handle, url)
            connection.isInHandler.store(false, ordering: .relaxed)
            connection.progress.wrappingAdd(1, ordering: .relaxed)
            return answer(connection, handle, response)
        case .tooLarge: return answer(connection, handle, .tooLarge)
        case .receiving, .answered: return .YES
        }
    }

    private func call(_ connection: Connection, _ handle: OpaquePointer, _ url: UnsafePointer<CChar>) -> HTTPServerResponse {
        let request = HTTPServerRequest(method: connection.method, body: connection.body, url: url, connection: handle)
        return handler(request)
    }

    /// The response has been sent, or the connection is gone.
    func completed(_ connection: Connection) {
        connection.state = .receiving
        connection.progress.wrappingAdd(1, ordering: .relaxed)
        if !connection.isDetached.exchange(false, ordering: .relaxed) { inFlight.wrappingSubtract(1, ordering: .relaxed) }
    }

    /// The connection goes on for as long as its client likes, so that neither a stop nor the limit on requests waits for it.
    private func detach(_ connection: Connection) {
        connection.isDetached.store(true, ordering: .relaxed)
        inFlight.wrappingSubtract(1, ordering: .relaxed)
    }

    // MARK: WebSockets and streams of events

    /// The answer that makes the connection a WebSocket is sent.
    func upgraded(_ connection: Connection, _ descriptor: Int32, _ upgrade: OpaquePointer, early: [UInt8]) {
        guard let handler = connection.webSocket else { return vyuha_mhd_close_upgraded(upgrade) }
        connection.webSocket = nil
        let socket = WebSocket(descriptor: descriptor, upgrade: upgrade, handler: handler, loop: sockets, early: early)
        if !sockets.add(socket) { vyuha_mhd_close_upgraded(upgrade) }
    }

    /// Ends every stream: libmicrohttpd does not stop while one sleeps.
    func endStreams() {
        for stream in streams.withLock({ Array($0.values) }) { stream.end() }
    }

    private func body(_ response: HTTPServerResponse, _ connection: Connection, _ handle: OpaquePointer) -> OpaquePointer? {
        switch response.continuation {
        case .none:
            return response.body.withUnsafeBytes { bytes in
                MHD_create_response_from_buffer(bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
            }
        case .webSocket(let handler):
            connection.webSocket = handler
            return MHD_create_response_for_upgrade(handleUpgrade, Unmanaged.passUnretained(self).toOpaque())
        case .events(let stream):
            streams.withLock { $0[ObjectIdentifier(stream)] = stream }
            // After it is listed: either the stop sees it, or it sees the stop.
            if isStopping.load(ordering: .sequentiallyConsistent) { stream.end() }
            let context = EventStreamContext(stream, handle) { [self] stream in
                streams.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(stream)) }
            }
            let retained = Unmanaged.passRetained(context)
            guard let made = MHD_create_response_from_callback(.max, 16 << 10, readEvents, retained.toOpaque(), finishEvents) else {
                retained.takeRetainedValue().finish()
                return nil
            }
            return made
        }
    }

    private func answer(_ connection: Connection, _ handle: OpaquePointer, _ response: HTTPServerResponse) -> MHD_Result {
        guard let made = body(response, connection, handle) else { return .NO }
        defer { MHD_destroy_response(made) }
        if let type = response.contentType { add("Content-Type", pointer(type), to: made) }
        for (name, value) in response.headers { add(name, Self.cleaned(value), to: made) }
        if let requestIDs { addRequestID(requestIDs, handle, to: made) }
        var isDetached = false
        if case .none = response.continuation {} else { isDetached = true }
        if !isDetached, isStopping.load(ordering: .relaxed) { add("Connection", "close", to: made) }
        connection.state = .answered
        let result = MHD_queue_response(handle, UInt32(max(100, min(599, response.status))), made)
        if isDetached, result == .YES { detach(connection) }
        return result
    }

    private func addRequestID(_ ids: RequestIDs, _ handle: OpaquePointer, to response: OpaquePointer) {
        let given = MHD_lookup_connection_value(handle, .HEADER_KIND, "X-Request-Id")
        if let given, RequestIDs.isUsable(given) {
            add("X-Request-Id", given, to: response)
        } else {
            ids.withNew { add("X-Request-Id", $0, to: response) }
        }
    }

    private func add(_ name: StaticString, _ value: UnsafePointer<CChar>, to response: OpaquePointer) {
        _ = MHD_add_response_header(response, pointer(name), value)
    }

    private func pointer(_ text: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    /// A line break in a value would begin another header field.
    private static func cleaned(_ value: String) -> String {
        if !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return value }
        return String(decoding: value.utf8.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
    }

    private func length(_ handle: OpaquePointer) -> Int? {
        MHD_lookup_connection_value(handle, .HEADER_KIND, "Content-Length").flatMap { Int(exactly: strtoull($0, nil, 10)) ?? .max }
    }

    /// How much of a body that is too large is read for the sake of a clean answer, in bytes.
    private static let maximumDiscarded = 4 << 20
}

extension HTTPServerResponse {
    fileprivate static var tooLarge: HTTPServerResponse { problem(413, "The body is larger than this server allows.") }
    fileprivate static var overloaded: HTTPServerResponse {
        problem(
            503, "This server has as many requests as it takes at a time; try again in a second.",
            headers: [("Retry-After", "1"), ("Connection", "close")])
    }
}

// MARK: What libmicrohttpd calls

/// Called once with the headers, once for each part of the body, and once at the end.
func handleRequest(
    _ core: UnsafeMutableRawPointer?, _ handle: OpaquePointer?, _ url: UnsafePointer<CChar>?, _ method: UnsafePointer<CChar>?,
    _ version: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?, _ size: UnsafeMutablePointer<Int>?,
    _ context: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let core, let handle, let url, let method, let size, let context else { return .NO }
    guard let known = context.pointee else {
        guard let own = vyuha_mhd_socket_context(handle) else { return .NO }
        context.pointee = own
        return ServerCore.at(core).begin(Connection.at(own), handle, method)
    }
    if size.pointee > 0 {
        let part = UnsafeRawBufferPointer(start: data, count: size.pointee)
        size.pointee = 0
        return ServerCore.at(core).receive(Connection.at(known), part) ? .YES : .NO
    }
    return ServerCore.at(core).finish(Connection.at(known), handle, url)
}

/// Called once the answer 101 is sent; the descriptor is ours until it is given back.
func handleUpgrade(
    _ core: UnsafeMutableRawPointer?, _ handle: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ early: UnsafePointer<CChar>?,
    _ earlyCount: Int, _ descriptor: Int32, _ upgrade: OpaquePointer?
) {
    guard let core, let context, let upgrade else { return }
    let bytes = Array(UnsafeRawBufferPointer(start: early, count: earlyCount))
    ServerCore.at(core).upgraded(Connection.at(context), descriptor, upgrade, early: bytes)
}

func requestCompleted(
    _ core: UnsafeMutableRawPointer?, _ handle: OpaquePointer?, _ context: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ reason: MHD_RequestTerminationCode
) {
    guard let core, let known = context?.pointee else { return }
    ServerCore.at(core).completed(Connection.at(known))
}

func connectionChanged(
    _ core: UnsafeMutableRawPointer?, _ handle: OpaquePointer?, _ context: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ change: MHD_ConnectionNotificationCode
) {
    guard let core, let handle, let context else { return }
    if change == .CONNECTION_NOTIFY_STARTED {
        let connection = Connection(descriptor: vyuha_mhd_socket(handle))
        context.pointee = Unmanaged.passRetained(connection).toOpaque()
        ServerCore.at(core).opened(connection)
    } else if let own = context.pointee {
        context.pointee = nil
        let connection = Unmanaged<Connection>.fromOpaque(own).takeRetainedValue()
        ServerCore.at(core).closed(connection)
    }
}
