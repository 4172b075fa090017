import CZlib

/// Compresses and expands blocks of bytes in the zlib format (RFC 1950).
public enum Zlib {
    /// Compresses quickly rather than small (level 1: about 100 MB/s, half to a tenth of the size for numeric state).
    public static func compress(_ bytes: [UInt8]) -> [UInt8] {
        var length = compressBound(uLong(bytes.count))
        var result = [UInt8](repeating: 0, count: Int(length))
        let code = bytes.withUnsafeBufferPointer { source in
            result.withUnsafeMutableBufferPointer { compress2($0.baseAddress, &length, source.baseAddress, uLong(source.count), 1) }
        }
        // With a buffer of compressBound bytes zlib cannot fail but for want of memory (zlib manual, "compress2").
        precondition(code == Z_OK, "zlib ran out of memory")
        result.removeLast(result.count - Int(length))
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
