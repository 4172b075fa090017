@testable import RedisClient
import TestSupport
import Testing

/// A client of that server.
private func client(_ server: RedisServer, commandTimeout: Int = 5_000) throws -> RedisClient {
    var settings = try RedisSettings(url: server.url)
    settings.commandTimeout = commandTimeout
    return RedisClient(settings, backoff: RedisBackoff(initial: 5, maximum: 50))
}

@Suite("Redis commands and pipelines") struct RedisCommandTests {
    @Test("a value of every byte comes back unchanged") func binary() throws {
        let server = try RedisServer()
        defer { server.stop() }
        let redis = try client(server)
        let value = (0..<1000).map { UInt8(truncatingIfNeeded: $0) } + Array("\r\n$5\r\n".utf8)
        let key: [UInt8] = [0, 13, 10, 255]
        #expect(try redis.command([Array("SET".utf8), key, value]) == .status("OK"))
        #expect(try redis.command([Array("GET".utf8), key]) == .string(value))
        #expect(try redis.command("GET", "absent") == .null)
        #expect(try redis.command("SET", "emoji", "व्यूह 🛡️") == .status("OK"))
        #expect(try redis.command("GET", "emoji").text == "व्यूह 🛡️")
        #expect(try redis.command("INCR", "n").integer == 1)
        #expect(try redis.command("HSET", "h", "a", "1", "b", "2").integer == 2)
        let fields = try #require(try redis.command("HGETALL", "h").fields)
        #expect(fields.map(\.name) == ["a", "b"])
        #expect(fields.map(\.value) == [[0x31], [0x32]])
    }

    @Test("a string of 20 MB comes back unchanged") func large() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        let value = [UInt8](repeating: 7, count: 20 << 20)
        _ = try redis.command([Array("SET".utf8), Array("big".utf8), value])
        #expect(try redis.command("GET", "big").bytes == value)
    }

    @Test("a reply above the limit is an error and the next command works") func replyLimit() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        var settings = try RedisSettings(url: server.url)
        settings.maximumReplyBytes = 100_000
        let redis = RedisClient(settings)
        _ = try redis.command("SETRANGE", "big", "1000000", "x")
        let error = #expect(throws: RedisError.self) { try redis.command("GET", "big") }
        #expect(error?.kind == .replyTooLarge)
        #expect(try redis.command("STRLEN", "big").integer == 1_000_001)
    }

    @Test("10,000 pipelined commands answer in order, twice with the same buffer") func pipeline() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        var pipeline = RedisPipeline()
        for pass in 0..<2 {
            for index in 0..<10_000 { pipeline.append("SET", "key:\(index)", index * 10 + pass) }
            #expect(try redis.execute(pipeline) == RedisOutcome(replies: 10_000, errors: 0, firstError: nil))
            pipeline.removeAll()
            for index in 0..<10_000 { pipeline.append("GET", "key:\(index)") }
            let values = try redis.run(pipeline)
            #expect(values.count == 10_000)
            #expect(values.enumerated().allSatisfy { $1.integer == Int64($0 * 10 + pass) })
            pipeline.removeAll()
        }
    }

    @Test("arguments of every type arrive as Redis writes them") func arguments() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        var pipeline = RedisPipeline()
        let doubles: [(Double, String)] = [
            (0, "0"), (-0.0, "-0.0"), (1, "1"), (-12, "-12"), (0.1, "0.1"), (72.5, "72.5"), (1e300, "1e+300"), (.infinity, "inf"),
            (.leastNonzeroMagnitude, "5e-324"), (0x1p53, "9007199254740992.0"),
        ]
        let integers: [Int64] = [0, 9, 10, -1, -10, 99, 100, .max, .min]
        for (value, _) in doubles { pipeline.append("ECHO", value) }
        for value in integers { pipeline.append("ECHO", value) }
        let bytes: [UInt8] = [1, 2, 3, 4]
        pipeline.append("ECHO", bytes)
        pipeline.append("ECHO", bytes[1...2])
        pipeline.append("ECHO", "constant" as StaticString)
        pipeline.append("ECHO", "")
        let values = try redis.run(pipeline)
        for ((value, text), reply) in zip(doubles, values) {
            #expect(reply.text == text)
            #expect(reply.double == value)
        }
        #expect(values[10..<19].map(\.integer) == integers)
        #expect(values[19...].map(\.bytes) == [bytes, [2, 3], Array("constant".utf8), []])
    }

    @Test("an error reply is thrown by a command, a value in a pipeline, and counted by execute") func errors() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        _ = try redis.command("SET", "text", "abc")
        let error = #expect(throws: RedisError.self) { try redis.command("INCR", "text") }
        #expect(error?.kind == .server)
        #expect(error?.isRetryable == false)
        var pipeline = RedisPipeline()
        pipeline.append("INCR", "n")
        pipeline.append("INCR", "text")
        pipeline.append("LPUSH", "text", 1)
        pipeline.append("INCR", "n")
        let values = try redis.run(pipeline)
        #expect(values[3] == .integer(2))
        #expect(values[1].error?.hasPrefix("ERR value is not an integer") == true)
        let outcome = try redis.execute(pipeline)
        #expect(outcome.replies == 4)
        #expect(outcome.errors == 2)
        #expect(outcome.firstError?.hasPrefix("ERR value is not an integer") == true)
        #expect(throws: RedisError.self) { try outcome.check() }
        #expect(try redis.command("GET", "n").integer == 4)
    }

    @Test("a transaction's replies are one array") func transaction() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        var pipeline = RedisPipeline()
        pipeline.append("MULTI")
        pipeline.append("SET", "a", 1)
        pipeline.append("INCR", "a")
        pipeline.append("LRANGE", "empty", 0, -1)
        pipeline.append("EXEC")
        #expect(try redis.run(pipeline).last == .array([.status("OK"), .integer(2), .array([])]))
    }

    @Test("a command with a wrong number of arguments is refused before it is sent") func misuse() throws {
        let redis = RedisClient(RedisSettings(port: 1))
        var pipeline = RedisPipeline()
        pipeline.begin("SET", arguments: 2)
        pipeline.add("key")
        #expect(#expect(throws: RedisError.self) { try redis.run(pipeline) }?.kind == .misuse)
        pipeline.append("PING")
        #expect(#expect(throws: RedisError.self) { try redis.run(pipeline) }?.kind == .misuse)
    }
}

@Suite("Redis scripts") struct RedisScriptTests {
    private static let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")

    @Test("the locally computed name is the one that the server gives", arguments: [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
    func name(padding: Int) throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let script = RedisScript("return 1 --" + String(repeating: "x", count: padding))
        #expect(try client(server).command("SCRIPT", "LOAD", script.body).text == script.sha)
    }

    @Test("a script runs, and again after SCRIPT FLUSH") func flush() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        #expect(try redis.eval(Self.add, keys: ["n"], arguments: [[0x35]]) == .integer(5))
        _ = try redis.command("SCRIPT", "FLUSH")
        #expect(try redis.eval(Self.add, keys: ["n"], arguments: [[0x35]]) == .integer(10))
    }

    @Test("calls in a pipeline keep their place on a new connection and survive SCRIPT FLUSH") func pipeline() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        let store = RedisScript("return redis.call('SET', KEYS[1], ARGV[1])")
        var pipeline = RedisPipeline()
        pipeline.append("SET", "n", 1)
        pipeline.append(script: Self.add, keys: 1, "n", 10)
        pipeline.append("GET", "n")
        pipeline.append(script: store, keys: 1, "other", "text")
        pipeline.append(script: Self.add, keys: 1, "m", 3)
        #expect(try redis.run(pipeline) == [.status("OK"), .integer(11), .string(Array("11".utf8)), .status("OK"), .integer(3)])
        _ = try redis.command("SCRIPT", "FLUSH")
        let values = try redis.run(pipeline)
        #expect(values.map(\.error) == [nil, nil, nil, nil, nil])
        #expect(values[1] == .integer(11))
        #expect(values[4] == .integer(6))
        _ = try redis.command("SCRIPT", "FLUSH")
        #expect(try redis.execute(pipeline) == RedisOutcome(replies: 5, errors: 0, firstError: nil))
        #expect(try redis.command("GET", "m").integer == 9)
    }

    @Test("an error inside a script is an error of its call, counted once") func failing() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        _ = try redis.command("SET", "n", "text")
        var pipeline = RedisPipeline()
        pipeline.append(script: Self.add, keys: 1, "n", 1)
        pipeline.append(script: Self.add, keys: 1, "m", 1)
        #expect(try redis.execute(pipeline).errors == 1)
        _ = try redis.command("SCRIPT", "FLUSH")
        let outcome = try redis.execute(pipeline)
        #expect(outcome.errors == 1)
        #expect(outcome.firstError?.contains("not an integer") == true)
        #expect(try redis.command("GET", "m").integer == 2)
    }

    @Test("a script that does not compile says so") func broken() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = try client(server)
        let error = #expect(throws: RedisError.self) { try redis.eval(RedisScript("this is not Lua")) }
        #expect(error?.message.contains("compiling") == true)
    }
}
