import CZlib

/// Expands what others have compressed: gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)), one member or several, or zlib (RFC 1950), told apart by
/// the first bytes.
public enum Gzip {
    /// Why there is no content.
    public enum Failure: Error, Sendable, Equatable {
        case damaged, cutOff
        /// The content is larger than the limit.
        case tooLarge
    }

    /// Whether the bytes begin as gzip does.
    public static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B]) }

    /// - Parameter limit: most bytes of the content, so that a small body cannot become any amount of memory.
    public static func expand(_ bytes: [UInt8], limit: Int) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        // 32 + 15: gzip or zlib, the largest window (zlib manual, "inflateInit2").
        guard inflateInit2_(&stream, 32 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { throw .damaged }
        defer { inflateEnd(&stream) }
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var taken = 0
        while true {
            let (code, given, used) = bytes.withUnsafeBufferPointer { source in
                chunk.withUnsafeMutableBufferPointer { target in
                    // zlib does not write to its input; its C declaration has no `const` unless ZLIB_CONST is defined.
                    stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0 + taken) }
                    stream.avail_in = uInt(source.count - taken)
                    stream.next_out = target.baseAddress
                    stream.avail_out = uInt(target.count)
                    let code = inflate(&stream, Z_NO_FLUSH)
                    return (code, target.count - Int(stream.avail_out), source.count - taken - Int(stream.avail_in))
                }
            }
            taken += used
            guard result.count + given <= limit else { throw .tooLarge }
            result.append(contentsOf: chunk[..<given])
            switch code {
            case Z_STREAM_END:
                // Behind a member may be another one, or the zeros that fill a last block.
                guard taken < bytes.count, bytes[taken] != 0 else { return result }
                inflateReset(&stream)
            case Z_OK where given > 0 || used > 0: continue
            case Z_OK, Z_BUF_ERROR: throw .cutOff
            default: throw .damaged
            }
        }
    }

    /// One member, at zlib's default level.
    public static func compress(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        let made = deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(made == Z_OK, "zlib ran out of memory")
        return Zlib.deflateAll(bytes, &stream)
    }
}
