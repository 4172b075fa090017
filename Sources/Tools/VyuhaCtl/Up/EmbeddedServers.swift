import KafkaClient
import RedisClient
import ServiceKit

/// The brokers of a run: the user's own, or private ones that live as long as the run.
enum EmbeddedServers {
    /// Waits for the user's broker; says so once a second or so.
    /// - Parameter stopping: asked between attempts.
    static func waitForKafka(_ settings: KafkaSettings, limit: Double, say: (String) -> Void, stopping: () -> Bool) throws(CommandError) {
        let deadline = Clock.monotonicSeconds + limit
        var nextWord = Clock.monotonicSeconds + 1
        do {
            let admin = try KafkaAdmin(settings)
            while true {
                do {
                    return try admin.waitForBroker(timeout: 1_000)
                } catch {
                    let now = Clock.monotonicSeconds
                    guard error.isRetryable, !error.isFatal, now < deadline, !stopping() else { throw error }
                    if now >= nextWord {
                        say("Waiting for Kafka at \(settings.bootstrapServers): \(error.message)")
                        nextWord = now + 5
                    }
                    Clock.sleep(milliseconds: 100)
                }
            }
        } catch {
            throw CommandError(
                "Kafka at \(settings.bootstrapServers) cannot be used: \(error) Check KAFKA_BOOTSTRAP_SERVERS, or unset it to use the embedded broker."
            )
        }
    }

    /// Waits for a Redis.
    static func waitForRedis(_ client: RedisClient, limit: Int, say: (String) -> Void, stopping: () -> Bool) throws(CommandError) {
        var nextWord = Clock.monotonicSeconds + 1
        do {
            try client.connect(within: limit, shouldContinue: { !stopping() }) { error in
                let now = Clock.monotonicSeconds
                guard now >= nextWord else { return }
                say("Waiting for Redis: \(error.message)")
                nextWord = now + 5
            }
        } catch {
            throw CommandError("Redis cannot be used: \(error.message)")
        }
    }

    /// A private redis-server on a free loopback port: append-only file on and nothing evicted, as the suite demands of any Redis.
    /// Its files are in `folder`.
    static func redis(folder: TemporaryFolder, log: String?, environment: [String: String]) throws(CommandError) -> (
        spec: ServiceSpec, url: String
    ) {
        guard let program = Executables.find("redis-server") else {
            throw CommandError(
                "The program redis-server is missing. Install it with `apt-get install redis-server`, or set REDIS_URL to a Redis of yours."
            )
        }
        guard let port = Ports.free() else { throw CommandError.noPort }
        let arguments = [
            "--bind", "127.0.0.1", "--port", "\(port)", "--dir", folder.folder("redis"), "--appendonly", "yes", "--appendfsync", "everysec",
            "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no", "--databases", "1",
        ]
        let command = ChildCommand(executable: program, arguments: arguments, environment: environment, log: log)
        return (ServiceSpec(name: "redis-server", command: command, isSuite: false), "redis://127.0.0.1:\(port)")
    }
}
