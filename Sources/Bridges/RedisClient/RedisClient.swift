/// One connection to Redis, used by one thread.
///
/// A call connects by itself where there is no connection (one attempt, with AUTH and SELECT); a connection error closes the
/// connection and is thrown, and the next call connects anew. ``connect(within:shouldContinue:onWait:)`` and
/// ``retrying(within:shouldContinue:onWait:_:)`` wait for a server that is absent. A command whose connection broke may have
/// been applied: whether it is safe to repeat is for the caller to know.
///
/// Cost: a command is a round trip (about 50 µs on one machine); a pipelined write about 1 µs.
public final class RedisClient {
    /// Where the server is.
    public let settings: RedisSettings
    private let backoff: RedisBackoff
    private var connection: RedisConnection?
    private var scratch = RedisPipeline(capacity: 256)

    /// Remembers the settings; does not connect yet.
    public init(_ settings: RedisSettings, backoff: RedisBackoff = RedisBackoff()) {
        self.settings = settings
        self.backoff = backoff
    }

    /// True while the connection has not failed. A server that died is noticed by the next command.
    public var isConnected: Bool { connection != nil }

    /// Closes the connection; the next call opens another.
    public func close() { connection = nil }
}

// MARK: Connecting

extension RedisClient {
    /// Connects, and where the server is absent or still loading its data, tries again with backoff until the deadline.
    ///
    /// - Parameters:
    ///   - milliseconds: the deadline from now; 0 tries once. An attempt under way may outlast it by the connect timeout.
    ///   - shouldContinue: asked about every 20 ms of waiting; false ends it with the kind ``RedisError/Kind/stopped``.
    ///   - onWait: told why, before each wait: for a log line.
    /// - Throws: the last error at the deadline; at once where waiting cannot help (a wrong password or database).
    public func connect(
        within milliseconds: Int, shouldContinue: () -> Bool = { true }, onWait: (RedisError) -> Void = { _ in }
    ) throws(RedisError) {
        try retrying(within: milliseconds, shouldContinue: shouldContinue, onWait: onWait) { client throws(RedisError) in
            if client.connection == nil { client.connection = try client.open() }
        }
    }

    /// Runs the body, and after a retryable error runs it again, on a new connection where the old one broke, until the deadline.
    ///
    /// The body must be idempotent: what it sent before the error may have been applied. Parameters as in
    /// ``connect(within:shouldContinue:onWait:)``.
    public func retrying<Result>(
        within milliseconds: Int, shouldContinue: () -> Bool = { true }, onWait: (RedisError) -> Void = { _ in },
        _ body: (RedisClient) throws(RedisError) -> Result
    ) throws(RedisError) -> Result {
        let end = monotonicMilliseconds() + milliseconds
        var failures = 0
        while true {
            do throws(RedisError) {
                return try body(self)
            } catch {
                failures += 1
                let left = end - monotonicMilliseconds()
                guard error.isRetryable, left > 0 else { throw error }
                onWait(error)
                guard sleep(milliseconds: min(left, backoff.wait(afterFailures: failures)), while: shouldContinue) else {
                    throw RedisError(.stopped, "Waiting for Redis at \(settings.address) was ended by a stop.", retryable: false)
                }
            }
        }
    }

    /// A connection that is signed in and answers.
    private func open() throws(RedisError) -> RedisConnection {
        let fresh = try RedisConnection(settings)
        var greeting = RedisPipeline(capacity: 128)
        if let password = settings.password {
            if let user = settings.user { greeting.append("AUTH", user, password) } else { greeting.append("AUTH", password) }
        }
        if settings.database != 0 { greeting.append("SELECT", settings.database) }
        // While a server loads its data after a restart, it accepts connections and refuses commands: PING tells.
        greeting.append("PING")
        for reply in try exchange(fresh, greeting) {
            guard let text = reply.error else { continue }
            let error = RedisError(reply: text)
            if error.isRetryable {
                throw RedisError(.unreachable, "Redis at \(settings.address) is not ready yet: \(text)", retryable: true)
            }
            throw RedisError(
                .authentication, "Redis refused to sign in to \(settings) (\(text)): correct the user, password or database in REDIS_URL.",
                retryable: false)
        }
        return fresh
    }

    /// Runs the body on the connection, made where there is none, and forgets the connection when the body fails.
    private func withConnection<Result>(_ body: (RedisConnection) throws(RedisError) -> Result) throws(RedisError) -> Result {
        let current: RedisConnection
        if let connection {
            current = connection
        } else {
            current = try open()
            connection = current
        }
        do throws(RedisError) {
            return try body(current)
        } catch {
            connection = nil
            throw error
        }
    }
}

// MARK: Commands

extension RedisClient {
    /// Sends one command: `command("GET", "key")`.
    ///
    /// - Throws: the error reply (kind ``RedisError/Kind/server``), or a connection error.
    public func command(_ parts: String...) throws(RedisError) -> RedisValue {
        scratch.removeAll()
        scratch.begin(parts: parts.count)
        for part in parts { scratch.add(part) }
        return try single()
    }

    /// Sends one command of binary parts.
    ///
    /// - Throws: the error reply (kind ``RedisError/Kind/server``), or a connection error.
    public func command(_ parts: [[UInt8]]) throws(RedisError) -> RedisValue {
        scratch.removeAll()
        scratch.begin(parts: parts.count)
        for part in parts { scratch.add(part) }
        return try single()
    }

    /// Calls a script by its name and sends its text only where the server does not know it.
    ///
    /// - Throws: the error reply (kind ``RedisError/Kind/server``), or a connection error.
    public func eval(_ script: RedisScript, keys: [String] = [], arguments: [[UInt8]] = []) throws(RedisError) -> RedisValue {
        scratch.removeAll()
        scratch.begin(script: script, keys: keys.count, arguments: arguments.count)
        for key in keys { scratch.add(key) }
        for argument in arguments { scratch.add(argument) }
        return try single()
    }

    private func single() throws(RedisError) -> RedisValue {
        let pipeline = scratch
        defer { scratch = pipeline }
        scratch = RedisPipeline(capacity: 0)
        guard let value = try run(pipeline).first else {
            throw RedisError(.misuse, "A command without parts cannot be sent to Redis.", retryable: false)
        }
        if let text = value.error { throw RedisError(reply: text) }
        return value
    }
}

// MARK: Pipelines

/// What came of a pipeline whose replies are only counted.
public struct RedisOutcome: Sendable, Equatable {
    /// Number of replies, one for each command.
    public let replies: Int
    /// Number of error replies, with those inside the reply of an EXEC.
    public let errors: Int
    /// Text of the first of them.
    public let firstError: String?

    /// Throws the first error where there is one.
    public func check() throws(RedisError) {
        if let firstError { throw RedisError(reply: firstError) }
    }
}

extension RedisClient {
    /// Sends all commands at once and returns their replies in order. Error replies are values here.
    ///
    /// - Throws: connection errors only; then any of the commands may have been applied.
    public func run(_ pipeline: RedisPipeline) throws(RedisError) -> [RedisValue] {
        try check(pipeline)
        return try withConnection { connection throws(RedisError) in
            try load(pipeline, on: connection)
            var values = try exchange(connection, pipeline)
            let forgotten = pipeline.calls.filter { values[$0.reply].error?.hasPrefix("NOSCRIPT") == true }
            if !forgotten.isEmpty {
                let repeated = try callAgain(forgotten, of: pipeline, on: connection)
                for (call, value) in zip(forgotten, repeated) { values[call.reply] = value }
            }
            return values
        }
    }

    /// Sends all commands at once and only counts the replies: for writes on a hot path, without a value per reply.
    ///
    /// - Throws: connection errors only; then any of the commands may have been applied. Error replies are in the outcome.
    public func execute(_ pipeline: RedisPipeline) throws(RedisError) -> RedisOutcome {
        try check(pipeline)
        return try withConnection { connection throws(RedisError) in
            try load(pipeline, on: connection)
            let counted = try pipeline.withBytes { bytes throws(RedisError) in
                try connection.count(bytes, replies: pipeline.count)
            }
            guard !counted.unknownScripts.isEmpty else {
                return RedisOutcome(replies: pipeline.count, errors: counted.errors, firstError: counted.first)
            }
            let forgotten = pipeline.calls.filter { counted.unknownScripts.contains($0.reply) }
            let failures = try callAgain(forgotten, of: pipeline, on: connection).compactMap(\.error)
            // What is not the reply of a call is the EXEC of a transaction, which cannot be repeated from its middle.
            let inTransactions = counted.unknownScripts.count - forgotten.count
            let first = counted.first ?? failures.first ?? (inTransactions > 0 ? "NOSCRIPT No matching script." : nil)
            return RedisOutcome(
                replies: pipeline.count, errors: counted.errors + failures.count + inTransactions, firstError: first)
        }
    }

    /// Gives the server the scripts of the pipeline that this connection has not given it yet.
    private func load(_ pipeline: RedisPipeline, on connection: RedisConnection) throws(RedisError) {
        let missing = pipeline.scripts.filter { !connection.loadedScripts.contains($0.sha) }
        if !missing.isEmpty { try load(missing, on: connection) }
    }

    private func load(_ scripts: [RedisScript], on connection: RedisConnection) throws(RedisError) {
        var loading = RedisPipeline()
        for script in scripts { loading.append("SCRIPT", "LOAD" as StaticString, script.body) }
        let replies = try exchange(connection, loading)
        for (script, reply) in zip(scripts, replies) {
            // A script that does not compile stays unknown, and its calls fail with NOSCRIPT; the reason is worth more.
            if let text = reply.error { throw RedisError(reply: text) }
            connection.loadedScripts.insert(script.sha)
        }
    }

    /// Loads the scripts of these calls and sends the calls once more, in their order.
    private func callAgain(
        _ calls: [RedisPipeline.ScriptCall], of pipeline: RedisPipeline, on connection: RedisConnection
    ) throws(RedisError) -> [RedisValue] {
        if calls.isEmpty { return [] }
        try load(Set(calls.map(\.script)).sorted().map { pipeline.scripts[$0] }, on: connection)
        var bytes: [UInt8] = []
        for call in calls { bytes += pipeline.bytes[pipeline.range(of: call)] }
        return try bytes.withUnsafeBufferPointer { buffer throws(RedisError) in
            try connection.exchange(UnsafeRawBufferPointer(buffer), replies: calls.count)
        }
    }

    private func check(_ pipeline: RedisPipeline) throws(RedisError) {
        if pipeline.missing != 0 || pipeline.isMalformed {
            throw RedisError(
                .misuse, "A command in a Redis pipeline has another number of arguments than it was begun with.", retryable: false)
        }
    }

    private func exchange(_ connection: RedisConnection, _ pipeline: RedisPipeline) throws(RedisError) -> [RedisValue] {
        try pipeline.withBytes { bytes throws(RedisError) in try connection.exchange(bytes, replies: pipeline.count) }
    }
}
