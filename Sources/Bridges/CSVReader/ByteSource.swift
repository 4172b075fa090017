import Glibc

/// Bytes of a file, a pipe or an array, decoded when they are gzip. One thread.
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
    /// The file's size on disk, where it has one.
    let totalBytes: Int64?

    init(descriptor: Int32, closing: Bool) {
        origin = .descriptor(descriptor, closing: closing)
        var status = stat()
        totalBytes = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
    }

    init(bytes: [UInt8]) {
        origin = .memory(bytes)
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
    }

    /// Up to `output.count` decoded bytes; 0 at the end.
    mutating func read(into output: UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int {
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
                let count = Glibc.read(descriptor, output.baseAddress, output.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Failure(message: "The file cannot be read: \(String(cString: strerror(errno))).") }
                position += count
                return count
            }
        }
    }

    private static let inputBytes = 64 << 10
}
