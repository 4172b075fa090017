import CLZ4
import CSnappy
import CZlib
import CZstd

/// Compressed blocks whose content has a known length, as the pages of a Parquet file are.
public enum BlockCodec: Sendable, Equatable {
    case snappy, gzip, zstd
    /// LZ4 without a frame ([block format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md)).
    case lz4
    /// LZ4 in the frames of Hadoop (big-endian length of the content, of the block, then the block; repeated), or without any: writers have done both
    /// under one name.
    case hadoopLZ4

    /// - Parameter count: the length of the content; what expands to another one is damaged.
    /// - Returns: nil when the block is damaged. Memory: `count` bytes, whatever the block claims.
    public func expand(_ block: UnsafeRawBufferPointer, count: Int) -> [UInt8]? {
        guard count >= 0, count <= Int(Int32.max), block.count <= Int(Int32.max) else { return nil }
        switch self {
        case .snappy:
            var declared = 0
            guard let source = block.baseAddress?.assumingMemoryBound(to: CChar.self),
                snappy_uncompressed_length(source, block.count, &declared) == SNAPPY_OK, declared == count
            else { return nil }
            return Self.fill(count) { target in
                var written = count
                guard
                    snappy_uncompress(source, block.count, target.assumingMemoryBound(to: CChar.self), &written) == SNAPPY_OK
                else { return nil }
                return written
            }
        case .gzip:
            guard let content = try? Gzip.expand(Array(block), limit: count), content.count == count else { return nil }
            return content
        case .zstd:
            return Self.fill(count) { target in
                let written = ZSTD_decompress(target, count, block.baseAddress, block.count)
                return ZSTD_isError(written) == 0 ? written : nil
            }
        case .lz4:
            guard let source = block.baseAddress?.assumingMemoryBound(to: CChar.self) else { return nil }
            return Self.fill(count) { target in
                Int(LZ4_decompress_safe(source, target.assumingMemoryBound(to: CChar.self), Int32(block.count), Int32(count)))
            }
        case .hadoopLZ4:
            return Self.framed(block, count: count) ?? BlockCodec.lz4.expand(block, count: count)
        }
    }

    /// - Returns: the block; for gzip at zlib's level 6, for zstd at level 1, which is as small as gzip on numbers and several times as fast.
    public func compress(_ content: [UInt8]) -> [UInt8] {
        content.withUnsafeBytes { source in
            let text = source.baseAddress?.assumingMemoryBound(to: CChar.self)
            switch self {
            case .snappy:
                return [UInt8](unsafeUninitializedCapacity: snappy_max_compressed_length(content.count)) { buffer, written in
                    written = buffer.count
                    buffer.withMemoryRebound(to: CChar.self) { _ = snappy_compress(text, content.count, $0.baseAddress, &written) }
                }
            case .gzip: return Gzip.compress(content)
            case .zstd:
                return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(content.count)) { buffer, written in
                    written = ZSTD_compress(buffer.baseAddress, buffer.count, source.baseAddress, content.count, 1)
                    precondition(ZSTD_isError(written) == 0, "zstd did not finish within its own bound")
                }
            case .lz4, .hadoopLZ4:
                return [UInt8](unsafeUninitializedCapacity: Int(LZ4_compressBound(Int32(content.count)))) { buffer, written in
                    let room = Int32(buffer.count)
                    written = buffer.withMemoryRebound(to: CChar.self) {
                        Int(LZ4_compress_default(text, $0.baseAddress, Int32(content.count), room))
                    }
                }
            }
        }
    }

    private static func framed(_ block: UnsafeRawBufferPointer, count: Int) -> [UInt8]? {
        var content: [UInt8] = []
        var position = 0
        while position < block.count {
            guard block.count - position >= 8 else { return nil }
            let length = Int(UInt32(bigEndian: block.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
            let size = Int(UInt32(bigEndian: block.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self)))
            position += 8
            guard size <= block.count - position, length <= count - content.count,
                let part = BlockCodec.lz4.expand(UnsafeRawBufferPointer(rebasing: block[position..<position + size]), count: length)
            else { return nil }
            content += part
            position += size
        }
        return content.count == count ? content : nil
    }

    /// An array of `count` bytes that `body` writes; nil unless it wrote exactly so many. There is always an address, for a library that wants one.
    private static func fill(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Int?) -> [UInt8]? {
        var written: Int?
        let content = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
            if let base = buffer.baseAddress { written = body(UnsafeMutableRawPointer(base)) }
            initialized = written == count ? count : 0
        }
        return written == count ? content : nil
    }
}
