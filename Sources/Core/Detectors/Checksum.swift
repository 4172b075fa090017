/// CRC-32 as in ISO 3309 and zlib (polynomial 0xEDB88320), a table of 256 words.
func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    let table = crcTable
    var state: UInt32 = 0xFFFF_FFFF
    for byte in bytes { state = (state >> 8) ^ table[Int((state ^ UInt32(byte)) & 0xFF)] }
    return ~state
}

private let crcTable: [UInt32] = (0..<256).map { index in
    var value = UInt32(index)
    for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xEDB8_8320 : value >> 1 }
    return value
}
