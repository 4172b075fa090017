import CHiredis
import Glibc

/// One TCP connection: hiredis connects and parses; the bytes are moved here.
///
/// hiredis writes with `write`, which raises SIGPIPE on a broken connection, and copies each command once more; a pipeline is one
/// buffer already, so it is sent from here with `MSG_NOSIGNAL`.
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let builder = ReplyBuilder()
    private let settings: RedisSettings
    private var input = [UInt8](repeating: 0, count: 16 << 10)
    /// Names of the scripts that this connection's server has been given.
    var loadedScripts: Set<String> = []

    /// Connects within the connect timeout; no command is sent yet.
    init(_ settings: RedisSettings) throws(RedisError) {
        self.settings = settings
        let connected = redisConnectWithTimeout(settings.host, Int32(settings.port), Self.interval(settings.connectTimeout))
        guard let connected else { throw RedisError(.unreachable, "There is no memory for a connection to Redis.", retryable: true) }
        if connected.pointee.err != 0 {
            let reason = Self.text(of: connected)
            redisFree(connected)
            throw RedisError(
                .unreachable, "Redis at \(settings.address) cannot be reached (\(reason)): start it or correct REDIS_URL.", retryable: true)
        }
        let table = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        table.initialize(to: .building)
        guard let parser = redisReaderCreateWithFunctions(table) else {
            table.deallocate()
            redisFree(connected)
            throw RedisError(.unreachable, "There is no memory for a connection to Redis.", retryable: true)
        }
        context = connected
        functions = table
        reader = parser
        reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
        _ = redisSetTimeout(context, Self.interval(settings.commandTimeout))
        _ = redisEnableKeepAlive(context)
        // A child process must not keep the connection open.
        _ = fcntl(context.pointee.fd, F_SETFD, FD_CLOEXEC)
    }

    deinit {
        redisReaderFree(reader)
        functions.deallocate()
        redisFree(context)
    }

    /// Sends the bytes and returns as many replies; error replies are values.
    func exchange(_ bytes: UnsafeRawBufferPointer, replies: Int) throws(RedisError) -> [RedisValue] {
        builder.onlyCounts = false
        builder.reset()
        try send(bytes)
        var values: [RedisValue] = []
        values.reserveCapacity(replies)
        for _ in 0..<replies {
            try receive()
            guard let value = builder.take() else { throw broken("the parser returned a reply without a value") }
            values.append(value)
        }
        try checkDrained()
        return values
    }

    /// Sends the bytes and only counts what comes back.
    ///
    /// - Returns: the number of errors and the first, and the numbers of the replies that name an unknown script (which are not
    ///   among the errors).
    func count(_ bytes: UnsafeRawBufferPointer, replies: Int) throws(RedisError)
        -> (errors: Int, first: String?, unknownScripts: [Int])
    {
        builder.onlyCounts = true
        builder.reset()
        try send(bytes)
        var unknown: [Int] = []
        for reply in 0..<replies {
            let before = builder.unknownScripts
            try receive()
            if builder.unknownScripts != before { unknown.append(reply) }
        }
        try checkDrained()
        return (builder.errors, builder.firstError, unknown)
    }

    private func send(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        var rest = bytes
        while let start = rest.baseAddress, !rest.isEmpty {
            let sent = Glibc.send(context.pointee.fd, start, rest.count, Int32(MSG_NOSIGNAL))
            if sent >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
            } else if errno != EINTR {
                throw lost(errno, "sending to")
            }
        }
    }

    /// Parses until one reply is complete.
    private func receive() throws(RedisError) {
        while true {
            var reply: UnsafeMutableRawPointer?
            guard redisReaderGetReply(reader, &reply) == REDIS_OK else {
                throw broken(withUnsafeBytes(of: reader.pointee.errstr) { Self.text($0) })
            }
            if reply != nil { return }
            if reader.pointee.len - reader.pointee.pos > settings.maximumReplyBytes {
                throw RedisError(
                    .replyTooLarge, "A reply of Redis is larger than \(settings.maximumReplyBytes) bytes: ask for less at a time.",
                    retryable: false)
            }
            let fd = context.pointee.fd
            let received = input.withUnsafeMutableBytes { recv(fd, $0.baseAddress, $0.count, 0) }
            if received > 0 {
                guard redisReaderFeed(reader, input, received) == REDIS_OK else { throw broken("there is no memory for a reply") }
            } else if received == 0 {
                throw RedisError(.connectionLost, "Redis at \(settings.address) closed the connection.", retryable: true)
            } else if errno != EINTR {
                throw lost(errno, "reading from")
            }
        }
    }

    /// A byte too many means that replies and commands no longer match, so the connection must not be used again.
    private func checkDrained() throws(RedisError) {
        if reader.pointee.len != reader.pointee.pos { throw broken("it sent more replies than it got commands") }
    }

    private func lost(_ code: Int32, _ doing: String) -> RedisError {
        if code == EAGAIN || code == EWOULDBLOCK {
            return RedisError(
                .timeout, "Redis at \(settings.address) did not answer within \(settings.commandTimeout) ms.", retryable: true)
        }
        return RedisError(
            .connectionLost, "The connection broke while \(doing) Redis at \(settings.address) (\(String(cString: strerror(code)))).",
            retryable: true)
    }

    private func broken(_ reason: String) -> RedisError {
        RedisError(
            .protocolViolation, "What answers at \(settings.address) does not speak the Redis protocol (\(reason)): check REDIS_URL.",
            retryable: false)
    }

    private static func interval(_ milliseconds: Int) -> timeval {
        // Zero would mean to wait for ever.
        let bounded = max(1, milliseconds)
        return timeval(tv_sec: bounded / 1000, tv_usec: bounded % 1000 * 1000)
    }

    private static func text(of context: UnsafeMutablePointer<redisContext>) -> String {
        withUnsafeBytes(of: context.pointee.errstr) { text($0) }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
}
