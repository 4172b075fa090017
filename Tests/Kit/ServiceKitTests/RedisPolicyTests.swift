import RedisClient
import ServiceKit
import TestSupport
import Testing

@Suite struct RedisPolicyTests {
    @Test(arguments: [(nil, nil), ("noeviction", nil), ("allkeys-lru", "allkeys-lru"), ("volatile-ttl", "volatile-ttl")] as [(String?, String?)])
    func `a server that may evict is told apart from one that does not`(policy: String?, warned: String?) throws {
        let server = try RedisServer(appendOnly: false, options: policy.map { ["--maxmemory-policy", $0] } ?? [])
        #expect(try RedisPolicy.evicting(RedisClient(RedisSettings(url: server.url))) == warned)
    }

    @Test func `a managed server that does not tell its settings is no trouble`() throws {
        let renamed = try RedisServer(appendOnly: false, options: ["--rename-command", "CONFIG", "hidden", "--maxmemory-policy", "allkeys-lru"])
        #expect(try RedisPolicy.evicting(RedisClient(RedisSettings(url: renamed.url))) == nil)
        let forbidden = try RedisServer(appendOnly: false, options: ["--maxmemory-policy", "allkeys-lru"])
        let client = RedisClient(try RedisSettings(url: forbidden.url))
        _ = try client.command("ACL", "SETUSER", "default", "-config")
        #expect(try RedisPolicy.evicting(client) == nil)
    }

    @Test func `a server that is away is asked again, since the answer is not known`() throws {
        let server = try RedisServer(appendOnly: false)
        server.stop()
        #expect(throws: RedisError.self) { try RedisPolicy.evicting(RedisClient(RedisSettings(url: server.url))) }
    }
}
