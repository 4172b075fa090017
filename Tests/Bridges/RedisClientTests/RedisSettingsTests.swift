import RedisClient
import Testing

@Suite("Redis URLs") struct RedisSettingsTests {
    @Test(
        "a URL is read and shown without its password",
        arguments: [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://cache:7000", "redis://cache:7000/0"),
            ("REDIS://cache:7000/5", "redis://cache:7000/5"),
            ("redis://cache/", "redis://cache:6379/0"),
            ("redis://:pw@cache", "redis://:<secret>@cache:6379/0"),
            ("redis://me:p%40ss@cache/1", "redis://me:<secret>@cache:6379/1"),
            ("redis://me:p@ss@cache/1", "redis://me:<secret>@cache:6379/1"),
            ("redis://[::1]:7000/2", "redis://[::1]:7000/2"),
            ("redis://[::1]", "redis://[::1]:6379/0"),
        ])
    func valid(url: String, shown: String) throws {
        #expect(try RedisSettings(url: url).description == shown)
    }

    @Test("user and password are percent-decoded") func decoding() throws {
        let settings = try RedisSettings(url: "redis://m%65:p%40s%3As%2F@cache")
        #expect(settings.user == "me")
        #expect(settings.password == "p@s:s/")
    }

    @Test(
        "a wrong URL is refused with what is wrong, never with the password",
        arguments: [
            ("", "it must look like"),
            ("localhost:6379", "it must look like"),
            ("http://localhost", "its scheme must be redis://"),
            ("rediss://:topsecret@localhost", "TLS (rediss://) is not supported"),
            ("redis://", "it names no host"),
            ("redis://:topsecret@", "it names no host"),
            ("redis://a b", "the host has a blank"),
            ("redis://cache:0", "the port must be"),
            ("redis://cache:65536", "the port must be"),
            ("redis://cache:x", "the port must be"),
            ("redis://cache:", "the port must be"),
            ("redis://cache/one", "the database after /"),
            ("redis://cache/-1", "the database after /"),
            ("redis://:topsecret%4@cache", "the password has an incomplete %-escape"),
            ("redis://:topsecret%ff@cache", "the password has an incomplete %-escape"),
            ("redis://me@cache", "it names a user but no password"),
            ("redis://cache?db=1", "it has a query"),
            ("redis://[::1", "no closing bracket"),
            ("redis://[::1]7000", "a colon and a port"),
        ])
    func wrong(url: String, reason: String) {
        let error = #expect(throws: RedisError.self) { try RedisSettings(url: url) }
        #expect(error?.kind == .settings)
        #expect(error?.message.contains(reason) == true)
        #expect(error?.message.contains("topsecret") == false)
    }
}

@Suite("Error replies")
struct ErrorReplyTests {
    @Test(
        "a full memory and a full disk are waited for and say what to do, also out of a script of an older Redis; a wrong type is not",
        arguments: [
            ("OOM command not allowed when used memory > 'maxmemory'.", true, "`maxmemory`"),
            (
                "ERR Error running script (call to f_6b1b): @user_script:5: @user_script: 5: -OOM command not allowed when used memory > 'maxmemory'.",
                true, "`maxmemory`"
            ),
            ("MISCONF Errors writing to the AOF file: No space left on device", true, "free space"),
            ("LOADING Redis is loading the dataset in memory", true, "LOADING"),
            ("ERR Error running script (call to f_6b1b): @user_script:5: attempt to index a nil value", false, "nil value"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", false, "WRONGTYPE"), ("", false, "error"),
        ])
    func passing(reply: String, isRetryable: Bool, sentence: String) {
        let error = RedisError(reply: reply)
        #expect(error.isRetryable == isRetryable)
        #expect(error.message.contains(sentence))
    }
}
