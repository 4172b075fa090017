import CHiredis

/// Builds values from what hiredis' parser finds, without its tree of `redisReply` objects.
///
/// The parser is told through its own function table (`redisReplyObjectFunctions`) to call the free functions below, depth
/// first. It only asks whether a returned object is null, so one constant stands for every object.
final class ReplyBuilder {
    /// An array whose elements are still coming.
    private struct Open {
        var values: [RedisValue]
        let total: Int
    }

    /// In hot write paths only errors matter; then no value is made.
    var onlyCounts = false
    /// Error replies since the last reset, at any depth, without those of a script that the server does not know.
    private(set) var errors = 0
    /// `NOSCRIPT` replies since the last reset.
    private(set) var unknownScripts = 0
    /// Text of the first of them.
    private(set) var firstError: String?
    private var open: [Open] = []
    private var root: RedisValue?

    func reset() {
        errors = 0
        unknownScripts = 0
        firstError = nil
        open.removeAll()
        root = nil
    }

    /// The reply that is complete, once.
    func take() -> RedisValue? {
        defer { root = nil }
        return root
    }

    fileprivate func string(type: Int32, _ bytes: UnsafeRawBufferPointer) {
        switch type {
        case REDIS_REPLY_ERROR:
            if bytes.starts(with: "NOSCRIPT".utf8) { unknownScripts += 1 } else { errors += 1 }
            if onlyCounts, errors != 1 || firstError != nil { return }
            let text = String(decoding: bytes, as: UTF8.self)
            if errors == 1, firstError == nil { firstError = text }
            add(.error(text))
        case REDIS_REPLY_STATUS:
            if !onlyCounts { add(.status(String(decoding: bytes, as: UTF8.self))) }
        default:
            if !onlyCounts { add(.string([UInt8](bytes))) }
        }
    }

    fileprivate func array(_ total: Int) {
        if onlyCounts { return }
        if total == 0 { return add(.array([])) }
        var values: [RedisValue] = []
        // The length is the peer's claim, so it is not trusted with much memory in advance.
        values.reserveCapacity(min(total, 4096))
        open.append(Open(values: values, total: total))
    }

    fileprivate func add(_ value: RedisValue) {
        if onlyCounts { return }
        var value = value
        while let last = open.indices.last {
            open[last].values.append(value)
            if open[last].values.count < open[last].total { return }
            value = .array(open.removeLast().values)
        }
        root = value
    }
}

// MARK: The parser's function table

private func builder(_ task: UnsafePointer<redisReadTask>?) -> ReplyBuilder? {
    guard let data = task?.pointee.privdata else { return nil }
    return Unmanaged<ReplyBuilder>.fromOpaque(data).takeUnretainedValue()
}

/// Stands for every object that the parser believes to hold; never dereferenced.
private var someObject: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: 1) }

private func makeString(_ task: UnsafePointer<redisReadTask>?, _ text: UnsafeMutablePointer<CChar>?, _ count: Int)
    -> UnsafeMutableRawPointer?
{
    guard let task else { return nil }
    builder(task)?.string(type: task.pointee.type, UnsafeRawBufferPointer(start: text, count: count))
    return someObject
}

private func makeArray(_ task: UnsafePointer<redisReadTask>?, _ count: Int32) -> UnsafeMutableRawPointer? {
    builder(task)?.array(Int(count))
    return someObject
}

private func makeInteger(_ task: UnsafePointer<redisReadTask>?, _ value: Int64) -> UnsafeMutableRawPointer? {
    builder(task)?.add(.integer(value))
    return someObject
}

private func makeNil(_ task: UnsafePointer<redisReadTask>?) -> UnsafeMutableRawPointer? {
    builder(task)?.add(.null)
    return someObject
}

private func freeNothing(_ object: UnsafeMutableRawPointer?) {}

extension redisReplyObjectFunctions {
    /// The table that leads to ``ReplyBuilder``.
    static var building: redisReplyObjectFunctions {
        redisReplyObjectFunctions(
            createString: makeString, createArray: makeArray, createInteger: makeInteger, createNil: makeNil,
            freeObject: freeNothing)
    }
}
