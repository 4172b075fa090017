import Glibc

/// A request or an answer of Kafka's protocol, without its length; as much of it as `KafkaProxy` needs (https://kafka.apache.org/protocol).
struct KafkaFrame {
    private(set) var bytes: [UInt8]

    /// Highest versions that `rewrite` reads.
    private static let highest: [KafkaRequest: Int16] = [
        .listOffsets: 1, .metadata: 1, .offsetCommit: 2, .offsetFetch: 1, .findCoordinator: 1, .initProducerID: 1,
    ]

    // MARK: On the wire

    static func read(_ socket: Int32) -> KafkaFrame? {
        guard let head = readAll(socket, 4) else { return nil }
        let size = KafkaFrame(bytes: head).int32(at: 0)
        guard size >= 4, size < 64 << 20, let body = readAll(socket, Int(size)) else { return nil }
        return KafkaFrame(bytes: body)
    }

    private static func readAll(_ socket: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress.map { $0 + done }, count - done, 0) }
            guard got > 0 else { return nil }
            done += got
        }
        return bytes
    }

    func write(_ socket: Int32) -> Bool {
        let all = Self.bytes(Int32(bytes.count)) + bytes
        var done = 0
        while done < all.count {
            let sent = all.withUnsafeBytes { send(socket, $0.baseAddress.map { $0 + done }, all.count - done, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { return false }
            done += sent
        }
        return true
    }

    static func answer(_ correlation: Int32, _ body: [UInt8]) -> KafkaFrame { KafkaFrame(bytes: bytes(correlation) + body) }

    // MARK: Numbers

    func int16(at index: Int) -> Int16 {
        guard index + 2 <= bytes.count else { return 0 }
        return Int16(bitPattern: UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]))
    }

    func int32(at index: Int) -> Int32 {
        guard index + 4 <= bytes.count else { return 0 }
        return Int32(bitPattern: bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) })
    }

    private static func bytes(_ number: Int32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }
    private static func bytes(_ number: Int16) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }

    // MARK: Answers

    /// Replaces the ports of brokers, and the error codes where there is an error to tell.
    mutating func rewrite(_ request: KafkaRequest?, _ version: Int16, port: Int32, error: Int16?) {
        var cursor = Cursor(frame: self, at: 4)
        switch request {
        case .apiVersions:
            limitVersions()
        case .metadata:
            for _ in 0..<cursor.int32() {
                cursor.at += 4
                cursor.skipText()
                put(port, at: &cursor)
                if version >= 1 { cursor.skipText() }
            }
            if version >= 1 { cursor.at += 4 }
            for _ in 0..<cursor.int32() {
                put(error, at: &cursor)
                cursor.skipText()
                if version >= 1 { cursor.at += 1 }
                for _ in 0..<cursor.int32() {
                    cursor.at += 10
                    cursor.at += 4 * Int(cursor.int32())
                    cursor.at += 4 * Int(cursor.int32())
                }
            }
        case .findCoordinator:
            if version >= 1 { cursor.at += 4 }
            put(error, at: &cursor)
            if version >= 1 { cursor.skipText() }
            cursor.at += 4
            cursor.skipText()
            put(port, at: &cursor)
        case .listOffsets:
            eachPartition(&cursor) { frame, cursor in
                cursor.at += 4
                frame.put(error, at: &cursor)
                if version >= 1 { cursor.at += 16 } else { cursor.at += 8 * Int(cursor.int32()) }
            }
        case .offsetCommit:
            eachPartition(&cursor) { frame, cursor in
                cursor.at += 4
                frame.put(error, at: &cursor)
            }
        case .offsetFetch:
            eachPartition(&cursor) { frame, cursor in
                cursor.at += 12
                cursor.skipText()
                frame.put(error, at: &cursor)
            }
        case .initProducerID:
            cursor.at += 4
            put(error, at: &cursor)
        default: break
        }
    }

    private mutating func eachPartition(_ cursor: inout Cursor, _ body: (inout KafkaFrame, inout Cursor) -> Void) {
        for _ in 0..<cursor.int32() {
            cursor.skipText()
            for _ in 0..<cursor.int32() { body(&self, &cursor) }
        }
    }

    private mutating func limitVersions() {
        let count = int32(at: 6)
        for index in 0..<Int(count) {
            let place = 10 + 6 * index
            guard let request = KafkaRequest(rawValue: int16(at: place)), let highest = Self.highest[request] else { continue }
            replace(place + 4, Self.bytes(min(int16(at: place + 4), highest)))
        }
    }

    private mutating func put(_ port: Int32, at cursor: inout Cursor) {
        replace(cursor.at, Self.bytes(port))
        cursor.at += 4
    }

    private mutating func put(_ error: Int16?, at cursor: inout Cursor) {
        if let error { replace(cursor.at, Self.bytes(error)) }
        cursor.at += 2
    }

    private mutating func replace(_ index: Int, _ new: [UInt8]) {
        guard index + new.count <= bytes.count else { return }
        bytes.replaceSubrange(index..<index + new.count, with: new)
    }

    /// Reads on and on; a copy of the bytes, which share their memory until they are changed.
    private struct Cursor {
        let frame: KafkaFrame
        var at: Int

        /// A number of things that follow, or part of one.
        mutating func int32() -> Int32 {
            defer { at += 4 }
            return max(frame.int32(at: at), 0)
        }

        mutating func skipText() { at += 2 + max(Int(frame.int16(at: at)), 0) }
    }
}
