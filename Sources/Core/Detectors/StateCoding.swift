/// Writes a state as bytes: little-endian numbers, every array and text preceded by its count in 32 bits.
public struct StateWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func write(_ value: UInt8) { bytes.append(value) }
    public mutating func write(_ value: UInt32) { append(value) }
    public mutating func write(_ value: UInt64) { append(value) }
    public mutating func write(_ value: Int64) { append(UInt64(bitPattern: value)) }
    public mutating func write(_ value: Double) { append(value.bitPattern) }
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    public mutating func write(_ text: String) {
        let utf8 = Array(text.utf8)
        write(utf8)
    }

    public mutating func write(_ values: [UInt8]) {
        count(values.count)
        bytes.append(contentsOf: values)
    }

    public mutating func write(_ values: [Double]) {
        count(values.count)
        bytes.reserveCapacity(bytes.count + values.count * 8)
        for value in values { append(value.bitPattern) }
    }

    public mutating func write(_ values: [Float]) {
        count(values.count)
        for value in values { append(value.bitPattern) }
    }

    public mutating func write(_ values: [Int64]) {
        count(values.count)
        for value in values { append(UInt64(bitPattern: value)) }
    }

    public mutating func write(_ values: [UInt64]) {
        count(values.count)
        for value in values { append(value) }
    }

    public mutating func write(_ values: [String]) {
        count(values.count)
        for value in values { write(value) }
    }

    mutating func count(_ value: Int) { append(UInt32(clamping: value)) }

    private mutating func append(_ value: some FixedWidthInteger) {
        var rest = value
        for _ in 0..<(value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}

/// What stored bytes are of, as errors name it.
public enum StoredThing: String, Sendable {
    case model
    /// Of one partition: windows, histories, what learning models remember.
    case partitionState = "state of a partition"

    var remedy: String {
        switch self {
        case .model: "load another version or train it anew"
        case .partitionState: "it is rebuilt from the records in Kafka"
        }
    }
}

/// Reads what `StateWriter` wrote. Every read is bounds-checked and throws `.state`; nothing is allocated beyond what the bytes can hold.
public struct StateReader: Sendable {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int
    private let thing: StoredThing

    public init(_ bytes: [UInt8], of thing: StoredThing = .model) {
        self.init(bytes, 0..<bytes.count, of: thing)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>, of thing: StoredThing = .model) {
        self.thing = thing
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// Bytes not read yet.
    public var remaining: Int { end - position }

    public mutating func byte() throws(DetectorError) -> UInt8 {
        try need(1)
        defer { position += 1 }
        return bytes[position]
    }

    public mutating func flag() throws(DetectorError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw damaged("a flag is neither 0 nor 1")
        }
    }

    public mutating func uint32() throws(DetectorError) -> UInt32 { try integer() }
    public mutating func uint64() throws(DetectorError) -> UInt64 { try integer() }
    public mutating func int64() throws(DetectorError) -> Int64 { Int64(bitPattern: try integer()) }
    public mutating func double() throws(DetectorError) -> Double { Double(bitPattern: try integer()) }

    /// A number that is neither NaN nor infinite.
    public mutating func finite() throws(DetectorError) -> Double {
        let value = try double()
        guard value.isFinite else { throw damaged("a number is not finite") }
        return value
    }

    /// A whole number within a range.
    public mutating func int(in range: ClosedRange<Int>) throws(DetectorError) -> Int {
        let value = try int64()
        guard let number = Int(exactly: value), range.contains(number) else { throw damaged("a count is out of range") }
        return number
    }

    public mutating func text() throws(DetectorError) -> String {
        guard let text = String(validating: try bytesArray(), as: UTF8.self) else { throw damaged("a text is not UTF-8") }
        return text
    }

    public mutating func bytesArray() throws(DetectorError) -> [UInt8] {
        let count = try count(of: 1)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    public mutating func doubles() throws(DetectorError) -> [Double] {
        let count = try count(of: 8)
        var values = [Double]()
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try double()) }
        return values
    }

    /// Numbers, all finite and exactly `count` of them.
    public mutating func finiteDoubles(count: Int) throws(DetectorError) -> [Double] {
        let values = try doubles()
        guard values.count == count, values.allSatisfy(\.isFinite) else {
            throw damaged("an array has a wrong length or a value that is not finite")
        }
        return values
    }

    public mutating func floats() throws(DetectorError) -> [Float] {
        let count = try count(of: 4)
        var values = [Float]()
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(Float(bitPattern: try integer())) }
        return values
    }

    public mutating func int64s() throws(DetectorError) -> [Int64] {
        let count = try count(of: 8)
        var values = [Int64]()
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try int64()) }
        return values
    }

    public mutating func uint64s() throws(DetectorError) -> [UInt64] {
        let count = try count(of: 8)
        var values = [UInt64]()
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try uint64()) }
        return values
    }

    public mutating func texts() throws(DetectorError) -> [String] {
        let count = try count(of: 4)
        var values = [String]()
        for _ in 0..<count { values.append(try text()) }
        return values
    }

    /// Throws unless everything was read.
    public func finish() throws(DetectorError) {
        guard remaining == 0 else { throw damaged("\(remaining) bytes are left over") }
    }

    /// Throws unless the next byte is this layout version.
    /// - Parameter part: what has a layout of its own, such as `seasonal model`.
    public mutating func version(_ known: UInt8, of part: String) throws(DetectorError) { _ = try version(upTo: known, from: known, of: part) }

    /// The same for a part of which older layouts are read too.
    public mutating func version(upTo newest: UInt8, from oldest: UInt8 = 1, of part: String) throws(DetectorError) -> UInt8 {
        let found = try byte()
        guard (oldest...newest).contains(found) else {
            let remedy = thing == .model ? "train it anew or use a newer program" : thing.remedy
            throw DetectorError(.state, "The stored \(part) has layout \(found) and this program reads \(newest): \(remedy).")
        }
        return found
    }

    /// The error for bytes that no writer of ours has made.
    public func damaged(_ what: String) -> DetectorError {
        DetectorError(.state, "The stored \(thing.rawValue) is damaged (\(what) near byte \(position)): \(thing.remedy).")
    }

    private func need(_ count: Int) throws(DetectorError) {
        guard count <= remaining else { throw damaged("it ends too early") }
    }

    private mutating func count(of size: Int) throws(DetectorError) -> Int {
        let count = Int(try uint32())
        guard count <= remaining / size else { throw damaged("an array is longer than the bytes that are left") }
        return count
    }

    private mutating func integer<T: FixedWidthInteger>() throws(DetectorError) -> T {
        let size = T.bitWidth / 8
        try need(size)
        var value: T = 0
        for index in 0..<size { value |= T(truncatingIfNeeded: bytes[position + index]) << T(8 * index) }
        position += size
        return value
    }
}

/// What a streaming detector has learned so far, as plain numbers; its meaning belongs to the detector.
public struct DetectorState: Sendable, Equatable {
    public var numbers: [Double]
    public var integers: [Int64]

    public init(numbers: [Double] = [], integers: [Int64] = []) {
        self.numbers = numbers
        self.integers = integers
    }

    /// Bytes to store: layout version 1, numbers, integers, CRC-32.
    public func encoded() -> [UInt8] {
        var writer = StateWriter()
        writer.write(UInt8(1))
        writer.write(numbers)
        writer.write(integers)
        let checksum = crc32(writer.bytes[...])
        writer.write(checksum)
        return writer.bytes
    }

    /// Reads what `encoded()` wrote; throws `.state` on anything else.
    public init(decoding bytes: [UInt8]) throws(DetectorError) {
        guard bytes.count > 4 else { throw StateReader(bytes).damaged("it ends too early") }
        var tail = StateReader(bytes, bytes.count - 4..<bytes.count)
        guard try tail.uint32() == crc32(bytes[..<(bytes.count - 4)]) else { throw tail.damaged("the checksum differs") }
        var reader = StateReader(bytes, 0..<bytes.count - 4)
        try reader.version(1, of: "detector state")
        numbers = try reader.doubles()
        integers = try reader.int64s()
        try reader.finish()
    }
}
