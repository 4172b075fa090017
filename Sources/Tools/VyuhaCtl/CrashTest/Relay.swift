import Glibc
import ServiceKit
import Synchronization

/// Carries the bytes between one replica and Redis, and can keep what the replica sends on its way: a write that arrives late, as over a
/// network that stood still. One thread, which ends with `close`.
final class Relay: Sendable {
    let port: Int
    private let isHeld = Atomic<Bool>(false)
    private let isClosed = Atomic<Bool>(false)

    /// - Parameter upstream: Redis's port on the loopback address.
    init(to upstream: Int) throws(CommandError) {
        guard let port = Ports.free(), let listener = Loopback.listen(on: port) else { throw CommandError.noPort }
        self.port = port
        Threads.start("relay") { [self] in carry(listener, upstream) }
    }

    /// What the replica sends from now on waits.
    func hold() { isHeld.store(true, ordering: .releasing) }
    /// What waited arrives, in order.
    func release() { isHeld.store(false, ordering: .releasing) }
    func close() { isClosed.store(true, ordering: .releasing) }

    private struct Pair {
        var replica: Int32
        var redis: Int32
    }

    private func carry(_ listener: Int32, _ upstream: Int) {
        var pairs: [Pair] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !isClosed.load(ordering: .acquiring) {
            let mayPass = !isHeld.load(ordering: .acquiring)
            // poll(2) does not look at a negative descriptor.
            var asked = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
            for pair in pairs {
                asked.append(pollfd(fd: mayPass ? pair.replica : -1, events: Int16(POLLIN), revents: 0))
                asked.append(pollfd(fd: pair.redis, events: Int16(POLLIN), revents: 0))
            }
            guard poll(&asked, nfds_t(asked.count), 10) > 0 else { continue }
            // What came after `hold` waits, though this was asked before.
            let isHeld = isHeld.load(ordering: .acquiring)
            var ended: [Int] = []
            for (index, pair) in pairs.enumerated() {
                let isOver =
                    (!isHeld && asked[1 + 2 * index].revents != 0 && !pass(from: pair.replica, to: pair.redis, &buffer))
                    || (asked[2 + 2 * index].revents != 0 && !pass(from: pair.redis, to: pair.replica, &buffer))
                if isOver { ended.append(index) }
            }
            for index in ended.reversed() {
                let pair = pairs.remove(at: index)
                Glibc.close(pair.replica)
                Glibc.close(pair.redis)
            }
            if asked[0].revents != 0 {
                let replica = accept(listener, nil, nil)
                // No replica may inherit another's connection.
                _ = fcntl(replica, F_SETFD, FD_CLOEXEC)
                if let redis = Loopback.connect(to: upstream) { pairs.append(Pair(replica: replica, redis: redis)) } else { Glibc.close(replica) }
            }
        }
        for descriptor in pairs.flatMap({ [$0.replica, $0.redis] }) + [listener] { Glibc.close(descriptor) }
    }

    /// - Returns: false at the end of the connection.
    private func pass(from source: Int32, to target: Int32, _ buffer: inout [UInt8]) -> Bool {
        let count = recv(source, &buffer, buffer.count, 0)
        var sent = 0
        while sent < count {
            let more = buffer.withUnsafeBytes { send(target, $0.baseAddress.map { $0 + sent }, count - sent, Int32(MSG_NOSIGNAL)) }
            guard more > 0 else { return false }
            sent += more
        }
        return count > 0
    }
}
