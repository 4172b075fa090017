import CZlib

/// zlib's decoder for gzip, owned. It lives on the heap because zlib keeps a pointer to it.
///
/// Source: https://zlib.net/manual.html, RFC 1952
struct Inflater: ~Copyable {
    enum Outcome {
        case more, memberEnd
        case damaged(String)
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private let isReady: Bool

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 + 15: a gzip header, the largest window.
        isReady = inflateInit2_(stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    }

    deinit {
        if isReady { inflateEnd(stream) }
        stream.deallocate()
    }

    /// The next member of a file of several.
    func reset() { inflateReset(stream) }

    /// Decodes from `input` into `output`; says how much was taken and given.
    func run(_ input: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>) -> (
        taken: Int, given: Int, outcome: Outcome
    ) {
        guard isReady else { return (0, 0, .damaged("there is no memory to decode it")) }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = output.baseAddress
        stream.pointee.avail_out = UInt32(output.count)
        let code = inflate(stream, Z_NO_FLUSH)
        let taken = input.count - Int(stream.pointee.avail_in)
        let given = output.count - Int(stream.pointee.avail_out)
        switch code {
        case Z_OK, Z_BUF_ERROR: return (taken, given, .more)
        case Z_STREAM_END: return (taken, given, .memberEnd)
        default: return (taken, given, .damaged(stream.pointee.msg.map { String(cString: $0) } ?? "error \(code)"))
        }
    }
}
