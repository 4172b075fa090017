import CZlib

/// Compresses and expands blocks of bytes in the zlib format (RFC 1950).
public enum Zlib {
    /// Compresses quickly rather than small: runs of equal bytes and the frequency of bytes, without a search for repetitions (zlib manual,
    /// `Z_RLE`), which numeric state hardly has.
    public static func compress(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        let made = deflateInit2_(
            &stream, 1, Z_DEFLATED, MAX_WBITS, 8, Z_RLE, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(made == Z_OK, "zlib ran out of memory")
        return deflateAll(bytes, &stream)
    }

    /// Ends the stream, too.
    static func deflateAll(_ bytes: [UInt8], _ stream: inout z_stream) -> [UInt8] {
        defer { deflateEnd(&stream) }
        var result = [UInt8](repeating: 0, count: Int(deflateBound(&stream, uLong(bytes.count))))
        bytes.withUnsafeBufferPointer { source in
            result.withUnsafeMutableBufferPointer { target in
                // zlib does not write to its input; its C declaration has no `const` unless ZLIB_CONST is defined.
                stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
                stream.avail_in = uInt(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = uInt(target.count)
                // With a buffer of deflateBound bytes one call does it all (zlib manual, "deflateBound").
                let code = deflate(&stream, Z_FINISH)
                precondition(code == Z_STREAM_END, "zlib did not finish")
            }
        }
        result.removeLast(result.count - Int(stream.total_out))
        return result
    }

    /// The original bytes.
    /// - Parameter count: how many they were; what expands to another number is damaged.
    /// - Returns: nil when the bytes are damaged.
    public static func expand(_ bytes: [UInt8], count: Int) -> [UInt8]? {
        guard count >= 0 else { return nil }
        var length = uLong(count)
        var result = [UInt8](repeating: 0, count: max(count, 1))
        let code = bytes.withUnsafeBufferPointer { source in
            result.withUnsafeMutableBufferPointer { uncompress($0.baseAddress, &length, source.baseAddress, uLong(source.count)) }
        }
        guard code == Z_OK, Int(length) == count else { return nil }
        result.removeLast(result.count - count)
        return result
    }
}
