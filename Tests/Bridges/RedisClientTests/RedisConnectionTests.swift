import Glibc
@testable import RedisClient
import TestSupport
import Testing

private let quick = RedisBackoff(initial: 5, maximum: 50)

private func seconds(_ body: () throws -> Void) rethrows -> Double {
    let duration = try ContinuousClock().measure(body)
    return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
}

@Suite("Redis connections") struct RedisConnectionTests {
    @Test("a password is needed, a wrong one is not waited for, and no message shows it") func password() throws {
        let server = try RedisServer(password: "s3cret p@ss", appendOnly: false)
        defer { server.stop() }
        var settings = RedisSettings(port: server.port)
        let none = #expect(throws: RedisError.self) { try RedisClient(settings).connect(within: 10_000) }
        #expect(none?.kind == .authentication)
        settings.password = "wr0ng"
        let took = seconds {
            let wrong = #expect(throws: RedisError.self) { try RedisClient(settings).connect(within: 10_000) }
            #expect(wrong?.kind == .authentication)
            #expect(wrong?.message.contains("wr0ng") == false)
        }
        #expect(took < 5)
        let url = "redis://:s3cret%20p%40ss@127.0.0.1:\(server.port)/3"
        let redis = RedisClient(try RedisSettings(url: url))
        #expect(try redis.command("SET", "k", "v") == .status("OK"))
        #expect(try redis.command("CLIENT", "INFO").text?.contains("db=3") == true)
        #expect(!redis.settings.description.contains("s3cret"))
    }

    @Test("a user of the access control list signs in, before and after a reconnect") func user() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let admin = RedisClient(try RedisSettings(url: server.url))
        _ = try admin.command("ACL", "SETUSER", "vyuha", "on", ">pw", "~*", "+@all")
        let redis = RedisClient(RedisSettings(port: server.port, user: "vyuha", password: "pw"), backoff: quick)
        #expect(try redis.command("ACL", "WHOAMI").text == "vyuha")
        _ = try admin.command("CLIENT", "KILL", "USER", "vyuha")
        #expect(try redis.retrying(within: 5_000) { client throws(RedisError) in try client.command("ACL", "WHOAMI").text } == "vyuha")
    }

    @Test("a database that does not exist is refused at once") func database() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        let redis = RedisClient(RedisSettings(port: server.port, database: 99))
        #expect(#expect(throws: RedisError.self) { try redis.connect(within: 10_000) }?.kind == .authentication)
    }

    @Test("a killed server is noticed, and the same client works after its restart, with the data") func restart() throws {
        let server = try RedisServer()
        defer { server.stop() }
        let redis = RedisClient(try RedisSettings(url: server.url), backoff: quick)
        _ = try redis.command("SET", "kept", "yes")
        var pipeline = RedisPipeline()
        for index in 0..<10_000 { pipeline.append("SET", "key:\(index)", index) }
        server.kill()
        let lost = #expect(throws: RedisError.self) { try redis.execute(pipeline) }
        #expect(lost?.isRetryable == true)
        #expect(!redis.isConnected)
        let absent = #expect(throws: RedisError.self) { try redis.command("PING") }
        #expect(absent?.kind == .unreachable)
        var reasons: [RedisError.Kind] = []
        // The server comes back while the client waits: the third wait starts it.
        let outcome = try redis.retrying(
            within: 10_000,
            onWait: {
                reasons.append($0.kind)
                if reasons.count == 3 { #expect(throws: Never.self) { try server.restart() } }
            }, { client throws(RedisError) in try client.execute(pipeline) })
        #expect(outcome == RedisOutcome(replies: 10_000, errors: 0, firstError: nil))
        #expect(reasons == [.unreachable, .unreachable, .unreachable])
        #expect(try redis.command("GET", "kept").text == "yes")
        try server.restart(keepingData: false)
        #expect(try redis.retrying(within: 5_000) { client throws(RedisError) in try client.command("GET", "kept") } == .null)
    }

    @Test("a server that does not answer is a timeout, and the late reply is never taken for another's") func timeout() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        var settings = try RedisSettings(url: server.url)
        settings.commandTimeout = 100
        let redis = RedisClient(settings, backoff: quick)
        _ = try redis.command("SET", "a", "first")
        let took = seconds {
            let error = #expect(throws: RedisError.self) { try redis.command("DEBUG", "SLEEP", "0.4") }
            #expect(error?.kind == .timeout)
            #expect(error?.isRetryable == true)
        }
        #expect(took < 0.4)
        #expect(try redis.retrying(within: 5_000) { client throws(RedisError) in try client.command("GET", "a") }.text == "first")
    }

    @Test("a frozen server is a timeout for reads and for writes that no longer fit into the socket") func frozen() throws {
        let server = try RedisServer(appendOnly: false)
        defer { server.stop() }
        var settings = try RedisSettings(url: server.url)
        settings.commandTimeout = 100
        let redis = RedisClient(settings, backoff: quick)
        _ = try redis.command("PING")
        server.pause()
        defer { server.resume() }
        let big = [UInt8](repeating: 1, count: 64 << 20)
        let error = #expect(throws: RedisError.self) { try redis.command([Array("SET".utf8), Array("big".utf8), big]) }
        #expect(error?.kind == .timeout)
    }

    @Test("an absent server is waited for until the deadline, with bounded waits") func absent() throws {
        let redis = RedisClient(RedisSettings(port: try freePort()), backoff: quick)
        var waits = 0
        let took = seconds {
            let error = #expect(throws: RedisError.self) { try redis.connect(within: 300, onWait: { _ in waits += 1 }) }
            #expect(error?.kind == .unreachable)
        }
        #expect(took >= 0.29 && took < 2)
        #expect(waits >= 6)
    }

    @Test("a stop ends the waiting at once") func stop() throws {
        let redis = RedisClient(RedisSettings(port: try freePort()))
        var asked = 0
        let took = seconds {
            let error = #expect(throws: RedisError.self) {
                try redis.connect(
                    within: 60_000,
                    shouldContinue: {
                        asked += 1
                        return asked < 3
                    })
            }
            #expect(error?.kind == .stopped)
        }
        #expect(took < 5)
    }

    @Test("a peer that is no Redis is named, not waited for") func otherProtocol() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = try #require(bytes.baseAddress).assumingMemoryBound(to: sockaddr.self)
            try #require(bind(listener, pointer, length) == 0 && listen(listener, 1) == 0)
            try #require(getsockname(listener, pointer, &length) == 0)
        }
        var worker = pthread_t()
        // Answers one connection with what a web server says.
        pthread_create(
            &worker, nil,
            { argument in
                let peer = accept(Int32(Int(bitPattern: argument)), nil, nil)
                let answer = "HTTP/1.1 400 Bad Request\r\n\r\n"
                _ = write(peer, answer, answer.utf8.count)
                var byte: UInt8 = 0
                while read(peer, &byte, 1) > 0 {}
                close(peer)
                return nil
            }, UnsafeMutableRawPointer(bitPattern: Int(listener)))
        let redis = RedisClient(RedisSettings(port: Int(UInt16(bigEndian: address.sin_port))))
        let error = #expect(throws: RedisError.self) { try redis.connect(within: 10_000) }
        #expect(error?.kind == .protocolViolation)
        pthread_join(worker, nil)
    }
}
