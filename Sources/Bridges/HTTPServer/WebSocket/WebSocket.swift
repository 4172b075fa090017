import CMicroHTTPD
import Glibc
import Synchronization

/// One client that is connected by WebSocket. Sending never waits: what does not fit into the client's buffer is refused, and a client that
/// takes nothing for ``stallSeconds`` while something waits is dropped.
///
/// `@unchecked Sendable` because the plain fields belong to the socket thread alone; what others touch is under the lock.
public final class WebSocket: @unchecked Sendable {
    /// Most bytes that wait for one client.
    public static let bufferBytes = 128 << 10
    /// Longest time that a client may take nothing, in seconds.
    public static let stallSeconds = 30
    /// Largest message that a client may send, in bytes.
    public static let maximumMessageBytes = 64 << 10
    /// Silence after which a client is asked whether it is there, in seconds; after three times that it is gone.
    static let pingSeconds = 20
    /// How long the client's half of the closing is waited for, in seconds.
    private static let closeSeconds = 5

    private struct State {
        var outgoing = OutgoingBuffer(limit: WebSocket.bufferBytes)
        /// Set once the closing frame is queued.
        var isClosing = false
    }

    let descriptor: Int32
    private let upgrade: OpaquePointer
    private let handler: WebSocketHandler
    private let loop: SocketLoop
    private let state = Mutex(State())

    // The socket thread's.
    private var reader = WebSocketReader(maximumMessageBytes: WebSocket.maximumMessageBytes)
    private var lastHeard: Int
    private var lastPing: Int
    private var lastProgress: Int
    private var closingSince: Int?
    /// The system takes no more for now.
    private(set) var isBlocked = false
    /// Nothing more will come or go but what is queued.
    private var isFinishing = false
    private(set) var isDone = false

    init(descriptor: Int32, upgrade: OpaquePointer, handler: WebSocketHandler, loop: SocketLoop, early: [UInt8]) {
        self.descriptor = descriptor
        self.upgrade = upgrade
        self.handler = handler
        self.loop = loop
        lastHeard = monotonicSeconds()
        lastPing = lastHeard
        lastProgress = lastHeard
        reader.feed(early)
    }

    /// Queues a message; false where the buffer is full or the socket is closing. Any thread.
    public func send(_ frame: WebSocketFrame) -> Bool {
        let isQueued = state.withLock { !$0.isClosing && $0.outgoing.append(frame.bytes) }
        if isQueued { loop.wake() }
        return isQueued
    }

    /// Forgets every message that has not begun to go out and says how many those were: for a client that has fallen behind. Any thread.
    public func skipAhead() -> Int { state.withLock { $0.isClosing ? 0 : $0.outgoing.skipAhead() } }

    /// Ends it, after what is queued ([codes](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)). Any thread.
    public func close(_ code: UInt16 = 1000, _ reason: String = "") {
        queueClose(code, reason)
        loop.wake()
    }

    private func queueClose(_ code: UInt16, _ reason: String = "") {
        state.withLock { state in
            guard !state.isClosing else { return }
            state.isClosing = true
            _ = state.outgoing.append(WebSocketFrame.close(code, reason).bytes, isControl: true)
        }
    }

    // MARK: On the socket thread

    func open() {
        handler.opened(self)
        readEvents()
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer, at time: Int) {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            lastHeard = time
            guard !isFinishing else { return }
            reader.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            readEvents()
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            isDone = true
        }
    }

    private func readEvents() {
        do {
            while !isFinishing, let event = try reader.next() {
                switch event {
                case .message(let message): handler.received(self, message)
                // One that asks faster than it reads gets fewer answers (5.5.3).
                case .ping(let payload):
                    state.withLock { state in
                        if !state.isClosing { _ = state.outgoing.append(WebSocketFrame(.pong, payload).bytes, isControl: true) }
                    }
                case .pong: break
                case .close(let code):
                    queueClose(code ?? 1000)
                    isFinishing = true
                }
            }
        } catch {
            queueClose(error.code, error.reason)
            isFinishing = true
        }
    }

    /// Sends what the system takes.
    func flush(at time: Int) {
        isBlocked = false
        let (isEmpty, isClosing) = state.withLock { state in
            while !state.outgoing.isEmpty {
                let sent = state.outgoing.send { bytes in
                    Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                }
                if sent > 0 {
                    lastProgress = time
                } else {
                    if errno == EAGAIN { isBlocked = true } else { isDone = true }
                    break
                }
            }
            return (state.outgoing.isEmpty, state.isClosing)
        }
        if isEmpty {
            lastProgress = time
            if isClosing {
                closingSince = closingSince ?? time
                if isFinishing { isDone = true }
            }
        }
    }

    /// Pings, and gives up on a client that is gone or takes nothing.
    func tick(at time: Int) {
        if time - lastProgress >= Self.stallSeconds || time - lastHeard >= 3 * Self.pingSeconds { isDone = true }
        if let closingSince, time - closingSince >= Self.closeSeconds { isDone = true }
        guard time - lastHeard >= Self.pingSeconds, time - lastPing >= Self.pingSeconds else { return }
        lastPing = time
        state.withLock { state in
            if !state.isClosing { _ = state.outgoing.append(WebSocketFrame(.ping, []).bytes, isControl: true) }
        }
    }

    /// Gives the connection back to libmicrohttpd, which closes it.
    func end() {
        state.withLock { $0.isClosing = true }
        handler.closed(self)
        shutdown(descriptor, Int32(SHUT_RDWR))
        vyuha_mhd_close_upgraded(upgrade)
    }
}
