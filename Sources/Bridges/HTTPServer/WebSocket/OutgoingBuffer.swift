/// What waits to be sent to one client: whole messages up to a limit in bytes, the first of them perhaps in part.
///
/// Messages are shared arrays, so that one message to a thousand clients is kept once.
struct OutgoingBuffer {
    private let limit: Int
    private var messages: [[UInt8]] = []
    /// Messages at the front that are sent; removed now and then, so that each costs constant time.
    private var done = 0
    /// Bytes of the first message that are sent.
    private var offset = 0
    /// Bytes that wait.
    private(set) var bytes = 0

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { bytes == 0 }

    /// False where it does not fit, and nothing changes.
    /// - Parameter isControl: a small answer of the protocol, which always fits.
    mutating func append(_ message: [UInt8], isControl: Bool = false) -> Bool {
        guard !message.isEmpty, bytes + message.count <= (isControl ? limit + Self.reserve : limit) else { return message.isEmpty }
        messages.append(message)
        bytes += message.count
        return true
    }

    /// Forgets every message of which nothing is sent yet, and says how many those were.
    mutating func skipAhead() -> Int {
        let kept = offset > 0 ? done + 1 : done
        let skipped = messages.count - kept
        for message in messages[kept...] { bytes -= message.count }
        messages.removeSubrange(kept...)
        return skipped
    }

    /// Gives the bytes that come next; `send` says how many it took. Returns what it said, 0 where nothing waits.
    mutating func send(_ send: (UnsafeRawBufferPointer) -> Int) -> Int {
        guard done < messages.count else { return 0 }
        let taken = messages[done].withUnsafeBytes { send(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        guard taken > 0 else { return taken }
        offset += taken
        bytes -= taken
        guard offset == messages[done].count else { return taken }
        messages[done] = []
        done += 1
        offset = 0
        if done >= 64 || done == messages.count {
            messages.removeFirst(done)
            done = 0
        }
        return taken
    }

    /// Room for answers to pings and the closing frame, in bytes.
    private static let reserve = 1024
}
