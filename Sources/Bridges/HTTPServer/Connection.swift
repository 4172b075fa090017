import CMicroHTTPD
import Glibc
import Synchronization

/// What the server keeps for one connection, made once and used for all of its requests.
///
/// `@unchecked Sendable` because only the server thread that owns the connection touches the plain fields; the watch reads the
/// atomics and the descriptor, which does not change.
final class Connection: @unchecked Sendable {
    /// How far the current request is.
    enum State: Int {
        /// No request, or its headers are on the way.
        case receiving
        /// The body is kept.
        case body
        /// The body is too large: it is thrown away and answered with 413.
        case tooLarge
        /// A response is queued.
        case answered
    }

    let descriptor: Int32
    /// What takes over once the answer to a request for a WebSocket is sent.
    var webSocket: WebSocketHandler?
    /// True from the answer on that makes it a WebSocket or a stream of events: it is no request in flight any more.
    let isDetached = Atomic<Bool>(false)
    var state = State.receiving
    var method = HTTPServerMethod.get
    var body: [UInt8] = []
    /// Bytes of a body that is too large, to know when to give up.
    var discarded = 0
    /// Counts the requests that are done, and the calls of the handler before and after: any change is progress.
    let progress = Atomic<UInt64>(0)
    /// True while the handler runs; the time in it is not the client's.
    let isInHandler = Atomic<Bool>(false)

    init(descriptor: Int32) { self.descriptor = descriptor }

    func reset() {
        state = .receiving
        // A large body's memory is not kept for a connection that may never need it again.
        if body.capacity > 64 << 10 { body = [] } else { body.removeAll(keepingCapacity: true) }
        discarded = 0
    }

    static func at(_ pointer: UnsafeMutableRawPointer) -> Connection {
        Unmanaged<Connection>.fromOpaque(pointer).takeUnretainedValue()
    }
}
