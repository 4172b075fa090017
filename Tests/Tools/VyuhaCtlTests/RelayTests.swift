import RedisClient
import TestSupport
import Testing

@testable import VyuhaCtl

@Suite("The relay between a replica and Redis")
struct RelayTests {
    @Test("a write that is held arrives when it is released, though its sender has given up")
    func lateWrite() throws {
        let server = try RedisServer(appendOnly: false)
        let direct = RedisClient(try RedisSettings(url: server.url))
        let relay = try Relay(to: direct.settings.port)
        defer { relay.close() }
        var settings = try RedisSettings(url: "redis://127.0.0.1:\(relay.port)")
        settings.commandTimeout = 200
        let replica = RedisClient(settings)
        #expect(try replica.command("SET", "state", "old").text == "OK")

        relay.hold()
        // Another replica goes on meanwhile.
        #expect(throws: RedisError.self) { try replica.command("SET", "state", "late") }
        #expect(try direct.command("SET", "state", "new").text == "OK")
        #expect(try direct.command("GET", "state").text == "new")

        relay.release()
        #expect(try withDeadline(20) { try direct.command("GET", "state").text == "late" })
        #expect(try replica.command("GET", "state").text == "late")
    }
}
