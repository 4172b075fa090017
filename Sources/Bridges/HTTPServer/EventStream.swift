import CMicroHTTPD
import Synchronization

/// A response that goes on: [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html) for one client. Sending never
/// waits; what does not fit into the client's buffer is refused, and a client that takes nothing for the server's `idleTimeout` is dropped.
public final class EventStream: Sendable {
    /// `@unchecked Sendable` because it is reached only under the lock.
    private struct State: @unchecked Sendable {
        var outgoing = OutgoingBuffer(limit: EventStream.bufferBytes)
        /// The connection while it waits for something to send.
        var suspended: OpaquePointer?
        var isEnded = false
    }

    /// Most bytes that wait for one client.
    public static let bufferBytes = 128 << 10

    private let state = Mutex(State())
    private let closed: @Sendable () -> Void

    /// - Parameter closed: called once when the client is gone or the response has ended, on a thread of the server.
    public init(closed: @escaping @Sendable () -> Void) { self.closed = closed }

    /// Queues bytes, which must be whole lines of an event; false where the buffer is full or the stream has ended. Any thread.
    public func send(_ bytes: [UInt8]) -> Bool {
        state.withLock { state in
            guard !state.isEnded, state.outgoing.append(bytes) else { return false }
            Self.resume(&state)
            return true
        }
    }

    /// Forgets every event that has not begun to go out and says how many those were. Any thread.
    public func skipAhead() -> Int { state.withLock { $0.outgoing.skipAhead() } }

    /// Ends the response after what is queued. Any thread.
    public func end() {
        state.withLock { state in
            state.isEnded = true
            Self.resume(&state)
        }
    }

    /// Fills libmicrohttpd's buffer, or lets the connection sleep until something is sent.
    fileprivate func read(into buffer: UnsafeMutableRawBufferPointer, _ connection: OpaquePointer) -> Int {
        state.withLock { state in
            let count = state.outgoing.send { bytes in
                let count = min(bytes.count, buffer.count)
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                return count
            }
            if count > 0 { return count }
            if state.isEnded { return Self.endOfStream }
            state.suspended = connection
            MHD_suspend_connection(connection)
            return 0
        }
    }

    fileprivate func finished() {
        state.withLock { state in
            state.isEnded = true
            state.suspended = nil
        }
        closed()
    }

    private static func resume(_ state: inout State) {
        guard let connection = state.suspended else { return }
        state.suspended = nil
        MHD_resume_connection(connection)
    }

    /// `MHD_CONTENT_READER_END_OF_STREAM`.
    private static let endOfStream = -1
}

extension HTTPServerResponse {
    /// Answers with events until the stream ends. The stream may be sent to at once.
    public static func events(_ stream: EventStream) -> HTTPServerResponse {
        var response = HTTPServerResponse(
            contentType: "text/event-stream", headers: [("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")])
        response.continuation = .events(stream)
        return response
    }
}

// MARK: What libmicrohttpd calls

/// What a stream's response carries: the stream and its connection.
final class EventStreamContext: Sendable {
    let stream: EventStream
    /// `nonisolated(unsafe)`: only the server thread that owns the connection uses it, and the stream under its lock.
    nonisolated(unsafe) let connection: OpaquePointer
    private let ended: @Sendable (EventStream) -> Void

    init(_ stream: EventStream, _ connection: OpaquePointer, ended: @escaping @Sendable (EventStream) -> Void) {
        self.stream = stream
        self.connection = connection
        self.ended = ended
    }

    func finish() {
        stream.finished()
        ended(stream)
    }
}

func readEvents(
    _ context: UnsafeMutableRawPointer?, _ position: UInt64, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
    guard let context, let buffer else { return -1 }
    let own = Unmanaged<EventStreamContext>.fromOpaque(context).takeUnretainedValue()
    return own.stream.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: capacity), own.connection)
}

func finishEvents(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<EventStreamContext>.fromOpaque(context).takeRetainedValue().finish()
}
