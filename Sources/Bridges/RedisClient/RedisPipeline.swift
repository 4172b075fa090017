/// Commands encoded for Redis, to be sent in one go.
///
/// The protocol's bytes are written straight into one buffer that keeps its capacity over ``removeAll()``, so a hot path that
/// reuses its pipeline does not allocate. A transaction is `append("MULTI")`, the commands, `append("EXEC")`.
///
/// Scripts are loaded before the pipeline on each new connection, so their calls keep their place among the other commands. Only
/// where the server forgot a script on a living connection (`SCRIPT FLUSH`) is a call repeated after the pipeline: a script that
/// must not be overtaken guards its own writes. Inside a transaction such a call is not repeated, its error is in the reply of EXEC.
public struct RedisPipeline: Sendable {
    /// A call of a script: which one, which reply is its own, and the bytes to send again after NOSCRIPT.
    struct ScriptCall: Sendable {
        let script: Int
        let reply: Int
        let start: Int
        var end: Int
    }

    private(set) var bytes: [UInt8] = []
    private(set) var scripts: [RedisScript] = []
    private(set) var calls: [ScriptCall] = []
    /// Arguments that the command begun last still lacks; negative where there were too many.
    private(set) var missing = 0
    /// Number of commands.
    public private(set) var count = 0

    /// An empty pipeline with room for so many bytes.
    public init(capacity: Int = 4096) {
        bytes.reserveCapacity(capacity)
    }

    /// True without commands.
    public var isEmpty: Bool { count == 0 }
    /// Size of the encoded commands in bytes; a caller that fills a pipeline from a stream bounds it by this.
    public var byteCount: Int { bytes.count }

    /// Forgets the commands and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        if !calls.isEmpty {
            scripts.removeAll(keepingCapacity: true)
            calls.removeAll(keepingCapacity: true)
        }
        missing = 0
        isMalformed = false
        count = 0
    }

    /// Appends one command: `append("HSET", key, "heart_rate", 72.5)`.
    @inlinable
    public mutating func append<each Argument: RedisArgument>(_ name: StaticString, _ arguments: repeat each Argument) {
        var number = 0
        for _ in repeat (each arguments) { number += 1 }
        begin(name, arguments: number)
        for argument in repeat (each arguments) { argument.add(to: &self) }
    }

    /// Begins a command whose number of arguments is known only at run time; exactly that many `add(_:)` must follow.
    public mutating func begin(_ name: StaticString, arguments: Int) {
        begin(parts: arguments + 1)
        add(name)
    }

    /// Appends a call of a script: its keys first, then its other arguments.
    @inlinable
    public mutating func append<each Argument: RedisArgument>(
        script: RedisScript, keys: Int, _ arguments: repeat each Argument
    ) {
        var number = 0
        for _ in repeat (each arguments) { number += 1 }
        begin(script: script, keys: keys, arguments: number - keys)
        for argument in repeat (each arguments) { argument.add(to: &self) }
    }

    /// Begins a call of a script; exactly `keys + arguments` calls of `add(_:)` must follow, the keys first.
    public mutating func begin(script: RedisScript, keys: Int, arguments: Int) {
        let start = bytes.count
        begin(parts: 3 + keys + arguments)
        calls.append(ScriptCall(script: index(of: script), reply: count - 1, start: start, end: start))
        add("EVALSHA" as StaticString)
        add(script.sha)
        add(keys)
    }

    /// A handful of scripts at most, so a search from the front is cheapest; equal names are equal texts.
    private mutating func index(of script: RedisScript) -> Int {
        if let known = scripts.firstIndex(where: { $0.sha == script.sha }) { return known }
        scripts.append(script)
        return scripts.count - 1
    }

    /// Begins a command whose name is one of the parts.
    mutating func begin(parts: Int) {
        if missing != 0 { isMalformed = true }
        closeCall()
        missing = parts
        count += 1
        bytes.append(UInt8(ascii: "*"))
        appendDecimal(Int64(parts))
        endLine()
    }

    /// Set where a command was begun before the one in front of it had all its arguments.
    private(set) var isMalformed = false

    private mutating func closeCall() {
        if let last = calls.last, last.end == last.start { calls[calls.count - 1].end = bytes.count }
    }

    /// The whole buffer, for sending.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws(RedisError) -> Result) throws(RedisError) -> Result {
        try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in try body(UnsafeRawBufferPointer(buffer)) }
    }

    /// The bytes of a call of a script.
    func range(of call: ScriptCall) -> Range<Int> { call.start..<(call.end == call.start ? bytes.count : call.end) }
}

// MARK: Arguments

extension RedisPipeline {
    /// Adds text as UTF-8.
    public mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// Adds a constant without making a string of it.
    public mutating func add(_ text: StaticString) {
        text.withUTF8Buffer { add(UnsafeRawBufferPointer($0)) }
    }

    /// Adds bytes.
    public mutating func add(_ value: [UInt8]) {
        value.withUnsafeBytes { add($0) }
    }

    /// Adds a part of an array.
    public mutating func add(_ value: ArraySlice<UInt8>) {
        value.withUnsafeBytes { add($0) }
    }

    /// Adds a copy of the bytes.
    public mutating func add(_ value: UnsafeRawBufferPointer) {
        missing -= 1
        bytes.append(UInt8(ascii: "$"))
        appendDecimal(Int64(value.count))
        endLine()
        bytes.append(contentsOf: value)
        endLine()
    }

    /// Adds a number in decimal.
    public mutating func add(_ value: Int) { add(Int64(value)) }

    /// Adds a number in decimal.
    public mutating func add(_ value: Int64) {
        missing -= 1
        bytes.append(UInt8(ascii: "$"))
        // A number has at most 20 characters, so its length has one or two digits.
        appendDecimal(Int64(decimalLength(value)))
        endLine()
        appendDecimal(value)
        endLine()
    }

    /// Adds the shortest text that reads back as the same number; whole numbers up to 2⁵³ are written without a fraction.
    public mutating func add(_ value: Double) {
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53, !(whole == 0 && value.sign == .minus) {
            add(whole)
        } else {
            add(value.description)
        }
    }

    private mutating func endLine() {
        bytes.append(13)
        bytes.append(10)
    }

    private func decimalLength(_ value: Int64) -> Int {
        var length = value < 0 ? 2 : 1
        var rest = value.magnitude
        while rest >= 10 {
            rest /= 10
            length += 1
        }
        return length
    }

    private mutating func appendDecimal(_ value: Int64) {
        if value >= 0, value < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(value))
            return
        }
        let length = decimalLength(value)
        let first = bytes.count
        for _ in 0..<length { bytes.append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        var at = first + length
        repeat {
            at -= 1
            bytes[at] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
    }
}

/// What can be an argument of a command: text, bytes and numbers.
public protocol RedisArgument {
    /// Adds the argument to the command begun last.
    func add(to pipeline: inout RedisPipeline)
}

extension String: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension StaticString: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension [UInt8]: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension ArraySlice<UInt8>: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension UnsafeRawBufferPointer: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension Int: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension Int64: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
extension Double: RedisArgument {
    public func add(to pipeline: inout RedisPipeline) { pipeline.add(self) }
}
