import Glibc
import Synchronization

/// One thread for all WebSockets of a server: it reads, writes and looks after the clock. Made with the first socket.
///
/// Cost: a wake-up and, for each socket, some 20 ns and what `poll` takes; a client that reads nothing costs no more.
final class SocketLoop: Sendable {
    private struct Shared {
        var added: [WebSocket] = []
        var thread: pthread_t?
        var isStopping = false
    }

    private let shared = Mutex(Shared())
    private let isAwake = Atomic<Bool>(false)
    /// A byte in it ends the waiting.
    private let wakeEnds: (read: Int32, write: Int32)

    init() throws(HTTPServerError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw HTTPServerError("The HTTP server cannot start: there are too few file descriptors.") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        wakeEnds = (ends[0], ends[1])
    }

    deinit {
        close(wakeEnds.read)
        close(wakeEnds.write)
    }

    /// False where the server stops or no thread can be had: the socket is the caller's to end.
    func add(_ socket: WebSocket) -> Bool {
        let isTaken = shared.withLock { shared in
            if shared.isStopping { return false }
            if shared.thread == nil {
                var thread = pthread_t()
                let context = Unmanaged.passRetained(self)
                guard pthread_create(&thread, nil, runSocketLoop, context.toOpaque()) == 0 else {
                    context.release()
                    return false
                }
                shared.thread = thread
            }
            shared.added.append(socket)
            return true
        }
        if isTaken { wake() }
        return isTaken
    }

    /// Something is queued somewhere.
    func wake() {
        guard !isAwake.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var byte: UInt8 = 1
        _ = write(wakeEnds.write, &byte, 1)
    }

    /// Closes every socket with 1001 and waits until the thread has ended.
    func stop() {
        let thread = shared.withLock { shared in
            shared.isStopping = true
            defer { shared.thread = nil }
            return shared.thread
        }
        guard let thread else { return }
        wake()
        pthread_join(thread, nil)
    }

    fileprivate func run() {
        var sockets: [WebSocket] = []
        var polls: [pollfd] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var lastTick = monotonicSeconds()
        while true {
            // Before the queues are looked at: what is queued from here on wakes again.
            isAwake.store(false, ordering: .sequentiallyConsistent)
            let (added, isStopping) = shared.withLock { shared in
                defer { shared.added = [] }
                return (shared.added, shared.isStopping)
            }
            for socket in added { socket.open() }
            sockets += added
            let time = monotonicSeconds()
            if isStopping { for socket in sockets { socket.close(1001, "The server stops.") } }
            if time != lastTick {
                lastTick = time
                for socket in sockets { socket.tick(at: time) }
            }
            for socket in sockets where !socket.isBlocked { socket.flush(at: time) }
            if isStopping {
                for socket in sockets { socket.end() }
                return
            }
            sockets.removeAll { socket in
                if socket.isDone { socket.end() }
                return socket.isDone
            }
            polls.removeAll(keepingCapacity: true)
            polls.append(pollfd(fd: wakeEnds.read, events: Int16(POLLIN), revents: 0))
            for socket in sockets {
                polls.append(pollfd(fd: socket.descriptor, events: Int16(socket.isBlocked ? POLLIN | POLLOUT : POLLIN), revents: 0))
            }
            guard poll(&polls, nfds_t(polls.count), 1_000) > 0 else { continue }
            if polls[0].revents != 0 { _ = read(wakeEnds.read, buffer.baseAddress, buffer.count) }
            for (socket, found) in zip(sockets, polls.dropFirst()) where found.revents != 0 {
                if found.revents & Int16(POLLOUT) != 0 { socket.flush(at: time) }
                if found.revents & ~Int16(POLLOUT) != 0 { socket.receive(into: buffer, at: time) }
            }
        }
    }
}

private func runSocketLoop(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<SocketLoop>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

/// Whole seconds of a clock that only goes forward.
func monotonicSeconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
    return time.tv_sec
}
