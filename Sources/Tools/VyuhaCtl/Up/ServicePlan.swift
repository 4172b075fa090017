import ServiceKit
import Streaming

/// How each service of a run is started.
struct ServicePlan {
    /// In the order of the chain, which is also the order in which they are stopped. All are ready before the producer starts.
    static let consumers = ["stream-processor", "feature-writer", "scoring-service", "alert-sink"]
    /// What `POST /predict` is documented on.
    static let predictPort = 8000

    let facts: RunFacts
    let kafka: String
    let redis: String
    /// Whether `kafka` is librdkafka's mock cluster.
    let isEmbedded: Bool
    /// Events a second.
    let rate: Double
    /// Folder of the log files; nil leaves the logs on standard error.
    let logs: String?

    /// What every child is given on top of this process's own environment.
    var environment: ChildEnvironment {
        var result = ChildEnvironment()
        // One port for all cannot be meant.
        result["VYUHA_PORT"] = nil
        result["VYUHA_INSTANCE_ID"] = nil
        result["VYUHA_USE_CASE"] = facts.directory
        result["VYUHA_PREFIX"] = facts.prefix
        result["KAFKA_BOOTSTRAP_SERVERS"] = kafka
        result["REDIS_URL"] = redis
        if isEmbedded {
            result.use(embeddedBroker: kafka)
            // Its takeover after a crash is incomplete with the cooperative protocol.
            result.setDefault(kafka: "partition.assignment.strategy", "range")
            // Fewer and larger batches, which cost it more than records do.
            if rate >= 2_000 { result.setDefault(kafka: "linger.ms", "5") }
        }
        return result
    }

    /// A consuming service, and its port.
    func spec(_ name: String) throws(CommandError) -> (spec: ServiceSpec, port: Int) {
        let found = name == "scoring-service" ? Ports.free(preferring: Self.predictPort) : Ports.free()
        guard let port = found else { throw CommandError.noPort }
        return (try service(name, arguments: [], port: port), port)
    }

    /// - Parameter loops: a file begins again at its end.
    func producer(rate: Double, entities: Int?, loops: Bool) throws(CommandError) -> ServiceSpec {
        let number = rate.rounded() == rate ? "\(Int(rate))" : "\(rate)"
        let arguments = ["--rate", number] + (facts.isFile && loops ? ["--loop"] : []) + (entities.map { ["--entities", "\($0)"] } ?? [])
        guard let port = Ports.free() else { throw CommandError.noPort }
        var spec = try service("producer", arguments: arguments, port: port)
        spec.mayFinish = true
        return spec
    }

    private func service(_ name: String, arguments: [String], port: Int) throws(CommandError) -> ServiceSpec {
        var environment = environment
        environment["VYUHA_HOST"] = "127.0.0.1"
        environment["VYUHA_PORT"] = "\(port)"
        environment["VYUHA_LOG_FORMAT"] = environment["VYUHA_LOG_FORMAT"] ?? "text"
        // Static membership: a service that was killed and is back takes its partitions again without waiting for its old session to end.
        environment["VYUHA_INSTANCE_ID"] = name + "-1"
        let command = ChildCommand(
            executable: try Executables.sibling(name), arguments: arguments, environment: environment.variables,
            log: logs.map { $0 + "/" + name + ".log" })
        return ServiceSpec(name: name, command: command, readyURL: "http://127.0.0.1:\(port)/ready")
    }
}
