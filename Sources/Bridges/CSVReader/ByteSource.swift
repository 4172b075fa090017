import Glibc
import Text

/// Bytes of a file, a pipe or an array, expanded when they are gzip, as UTF-8 where they are said to be of another encoding. One thread.
struct ByteSource: ~Copyable {
    private enum Origin {
        case descriptor(Int32, closing: Bool)
        case memory([UInt8])
    }

    private let origin: Origin
    private var position = 0
    private var inflater: Inflater?
    /// Compressed bytes that have been read and not decoded.
    private var input: [UInt8] = []
    private var inputStart = 0
    private var inputEnd = 0
    private var isBetweenMembers = false
    private var isAtEnd = false
    private var damage: Failure?
    private let encoding: TextEncoding
    /// The file may still grow.
    var follows = false
    private var decoder: TextDecoder
    /// Decoded text that has not been given yet.
    private var decoded: [UInt8] = []
    private var decodedStart = 0
    private var isDecoded = false
    /// Asked while a pipe has nothing: false ends it.
    private let shouldWait: (() -> Bool)?
    /// The file's size on disk, where it has one.
    let totalBytes: Int64?

    init(descriptor: Int32, closing: Bool, encoding: TextEncoding = .utf8, shouldWait: (() -> Bool)? = nil) {
        origin = .descriptor(descriptor, closing: closing)
        self.encoding = encoding
        decoder = TextDecoder(encoding)
        self.shouldWait = shouldWait
        var status = stat()
        totalBytes = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
    }

    init(bytes: [UInt8], encoding: TextEncoding = .utf8) {
        origin = .memory(bytes)
        self.encoding = encoding
        decoder = TextDecoder(encoding)
        shouldWait = nil
        totalBytes = Int64(bytes.count)
    }

    deinit {
        if case .descriptor(let descriptor, true) = origin { close(descriptor) }
    }

    /// Bytes taken from the origin so far, compressed if it is.
    var bytesRead: Int64 { Int64(position) }

    /// What went wrong, to be put after the file's name.
    struct Failure: Error {
        let message: String
    }

    /// Back to the first byte.
    mutating func rewind() throws(Failure) {
        if case .descriptor(let descriptor, _) = origin {
            guard lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw Failure(message: "This source cannot be read again from its start; give a file instead of a pipe.")
            }
        }
        position = 0
        inflater = nil
        inputStart = 0
        inputEnd = 0
        isBetweenMembers = false
        isAtEnd = false
        damage = nil
        decoder = TextDecoder(encoding)
        decoded.removeAll()
        decodedStart = 0
        isDecoded = false
    }

    /// Up to `output.count` bytes of UTF-8; 0 at the end.
    mutating func read(into output: UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int {
        guard encoding != .utf8 else { return try readRaw(into: output) }
        while decodedStart == decoded.count {
            decoded.removeAll(keepingCapacity: true)
            decodedStart = 0
            var raw = [UInt8](repeating: 0, count: max(1, output.count / TextDecoder.growth))
            let count = try raw.withUnsafeMutableBufferPointer { buffer throws(Failure) in try readRaw(into: buffer) }
            if count == 0 {
                // Half a character at the end of a file that grows may still become a whole one.
                if !isDecoded, !follows { decoder.finish(into: &decoded) }
                isDecoded = true
                if decoded.isEmpty { return 0 }
            }
            decoder.append(raw[..<count], to: &decoded)
        }
        let count = min(output.count, decoded.count - decodedStart)
        for index in 0..<count { output[index] = decoded[decodedStart + index] }
        decodedStart += count
        return count
    }

    private mutating func readRaw(into output: UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int {
        guard !isAtEnd, !output.isEmpty else { return 0 }
        let isFirst = position == 0
        if inflater == nil {
            let count = try take(into: output)
            guard isFirst else { return count }
            // A pipe may give a single byte first.
            var total = count
            while total == 1, output[0] == 0x1F, output.count > 1 {
                let more = try take(into: UnsafeMutableBufferPointer(rebasing: output[1...]))
                guard more > 0 else { break }
                total += more
            }
            guard total >= 2, output[0] == 0x1F, output[1] == 0x8B else { return total }
            inflater = Inflater()
            input = Array(output[..<total])
            inputEnd = total
            if input.count < Self.inputBytes { input.append(contentsOf: repeatElement(0, count: Self.inputBytes - input.count)) }
        }
        return try inflate(into: output)
    }

    private mutating func inflate(into output: UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int {
        while true {
            if let damage {
                isAtEnd = true
                throw damage
            }
            if inputStart == inputEnd {
                inputStart = 0
                inputEnd = try refill()
                if inputEnd == 0 {
                    isAtEnd = true
                    guard isBetweenMembers else { throw Failure(message: "The gzip file is cut off: it ends before its last block.") }
                    return 0
                }
            }
            if isBetweenMembers {
                // Some tools fill the last block of a tape or a download with zeros.
                guard input[inputStart] != 0 else {
                    inputStart = inputEnd
                    continue
                }
                inflater?.reset()
                isBetweenMembers = false
            }
            let range = inputStart..<inputEnd
            let result = input.withUnsafeBufferPointer { inflater?.run(UnsafeBufferPointer(rebasing: $0[range]), into: output) }
            guard let result else { return 0 }
            inputStart += result.taken
            switch result.outcome {
            case .more: break
            case .memberEnd: isBetweenMembers = true
            case .damaged(let reason): damage = Failure(message: "The gzip file is damaged: \(reason).")
            }
            // What was decoded before the damage is given first.
            if result.given > 0 { return result.given }
        }
    }

    private mutating func refill() throws(Failure) -> Int {
        var buffer = input
        input = []
        defer { input = buffer }
        do {
            return try buffer.withUnsafeMutableBufferPointer { pointer throws(Failure) in try take(into: pointer) }
        }
    }

    private mutating func take(into output: UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int {
        switch origin {
        case .memory(let bytes):
            let count = min(output.count, bytes.count - position)
            bytes.withUnsafeBufferPointer { source in
                _ = output.update(fromContentsOf: UnsafeBufferPointer(rebasing: source[position..<position + count]))
            }
            position += count
            return count
        case .descriptor(let descriptor, _):
            while true {
                if let shouldWait, !Self.hasInput(descriptor, while: shouldWait) { return 0 }
                let count = Glibc.read(descriptor, output.baseAddress, output.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Failure(message: "The file cannot be read: \(String(cString: strerror(errno))).") }
                position += count
                return count
            }
        }
    }

    /// Waits for a pipe, so that a caller who does not want to wait any more is heard; false when it does not.
    private static func hasInput(_ descriptor: Int32, while shouldWait: () -> Bool) -> Bool {
        while shouldWait() {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 100) != 0 { return true }
        }
        return false
    }

    private static let inputBytes = 64 << 10
}
