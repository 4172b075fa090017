import Contracts
import FeatureStore
import Glibc
import RedisClient
import ServiceKit
import UseCases

/// The servers of one run of the benchmark, all up at the same time.
final class APIServers {
    struct Server {
        let title: String
        let port: Int
        let child: Child
    }

    private(set) var all: [Server] = []
    private var redis: [Child] = []
    private let options: APIBenchmark.Options
    private let folder: String

    static let echo = "bare HTTP server (echo)"
    static let vyuha = "scoring-service"
    static let joined = "scoring-service, Redis join"
    static let sklearn = "FastAPI + scikit-learn"
    static let onnx = "FastAPI + ONNX"

    init(_ options: APIBenchmark.Options, folder: String) throws {
        self.options = options
        self.folder = folder
        let redisPort = try freePort()
        let server = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(redisPort)", "--save", "", "--dir", folder],
            cpu: options.serverCore, log: folder + "/redis.log")
        redis.append(server)
        let settings = RedisSettings(port: redisPort)
        try RedisClient(settings).connect(within: 10_000)
        let url = "redis://127.0.0.1:\(redisPort)"
        try add(Self.echo, { [try Self.beside("benchmarks"), "echo", "--port", "\($0)"] })
        try addService(Self.vyuha, useCase: options.root + "/services/usecases/nyc-taxi", redis: url)
        try addJoined(redis: url, settings)
        if let python = options.python { try addPeers(python) }
    }

    func stop() {
        for server in all { server.child.stop() }
        for child in redis { child.stop() }
    }

    // MARK: Ours

    private func addService(_ title: String, useCase: String, redis url: String) throws {
        let trainer = try Child(
            "trainer", [try Self.beside("trainer"), "fit"], environment: ["VYUHA_USE_CASE": useCase, "REDIS_URL": url], log: folder + "/trainer.log")
        _ = try trainer.finish()
        try add(title, { _ in [try Self.beside("scoring-service")] }) { port in
            [
                "VYUHA_USE_CASE": useCase, "REDIS_URL": url, "VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "\(port)",
                // The discard port: the stream side waits for Kafka.
                "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            ]
        }
    }

    /// The same use case with a feature that looks back, so that each request asks the online store for its entity.
    private func addJoined(redis url: String, _ settings: RedisSettings) throws {
        let source = options.root + "/services/usecases/nyc-taxi/"
        let text = readFile(source + "usecase.yaml").replacing("name: nyc-taxi", with: "name: nyc-taxi-history")
            .replacing("file: sample/", with: "file: \(try absolute(source))/sample/")
            .replacing("    log_speed: log(speed_mph)\n", with: "    log_speed: log(speed_mph)\n    usual_fare: mean(fare, 20 events)\n")
            .replacing("features: [charge_ratio, log_pace, unexplained_total]", with: "features: [charge_ratio, log_pace, usual_fare]")
        let file = folder + "/usecase.yaml"
        try writeFile(file, Array(text.utf8))
        let useCase = try UseCase.parse(text, file: file)
        guard let set = useCase.plan.sets.first, useCase.plan.needsHistory else {
            throw BenchmarkError("The use case nyc-taxi has changed and cannot be given a feature that looks back; adapt the benchmark.")
        }
        var batch = OnlineBatch(features: set.features.count)
        batch.add(entity: "132", id: "bench:1", eventTime: 1, offset: 1, vector: set.features.map { _ in 12.5 })
        let store = OnlineStore(
            RedisClient(settings), useCase: useCase.name, set: set.name, features: set.features, timeToLive: 86_400_000)
        _ = try store.write(batch)
        try addService(Self.joined, useCase: file, redis: url)
    }

    // MARK: Theirs

    private func addPeers(_ python: String) throws {
        let scripts = options.root + "/services/scripts/bench"
        let fit = try Child(
            "fit.py", [python, scripts + "/fit.py", options.root + "/services/usecases/nyc-taxi/sample/train.csv", folder],
            environment: ["OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"], log: folder + "/fit.log")
        _ = try fit.finish()
        for (title, engine) in [(Self.sklearn, "sklearn"), (Self.onnx, "onnx")] {
            try add(
                title,
                {
                    [
                        python, "-m", "uvicorn", "server:app", "--app-dir", scripts, "--host", "127.0.0.1", "--port", "\($0)", "--workers", "1",
                        "--no-access-log", "--log-level", "warning",
                    ]
                }
            ) { _ in ["MODEL": self.folder, "ENGINE": engine, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"] }
        }
    }

    // MARK: Parts

    /// Starts a server on the server's core and waits until wrk's request is answered.
    private func add(
        _ title: String, _ arguments: (Int) throws -> [String], environment: (Int) -> [String: String] = { _ in [:] }
    ) throws {
        let port = try freePort()
        let child = try Child(
            title, try arguments(port), cpu: options.serverCore, environment: environment(port), log: folder + "/server\(all.count).log")
        let probe = [
            "wrk", "-t1", "-c1", "-d1s", "-s", options.root + "/services/scripts/bench/predict.lua", "http://127.0.0.1:\(port)/predict",
        ]
        for _ in 0..<100 {
            guard child.isRunning else { throw BenchmarkError("\(title) ended at its start: \(child.output.suffix(400))") }
            let answer = try? Child("wrk", probe, log: folder + "/probe.log").finish()
            let numbers = answer?.split(separator: "\n").first { $0.hasPrefix("RESULT ") }?.split(separator: " ").compactMap { Int($0) }
            if let numbers, numbers.count >= 3, numbers[0] > 0, numbers[2] == 0 {
                all.append(Server(title: title, port: port, child: child))
                return
            }
            usleep(200_000)
        }
        throw BenchmarkError("\(title) does not answer: \(child.output.suffix(400))")
    }

    /// An executable in this one's folder.
    private static func beside(_ name: String) throws -> String {
        let own = try absolute("/proc/self/exe")
        let path = own[...(own.lastIndex(of: "/") ?? own.startIndex)] + name
        guard access(String(path), X_OK) == 0 else { throw BenchmarkError("There is no executable \(path): build it with: make build") }
        return String(path)
    }
}

private func absolute(_ path: String) throws -> String {
    guard let text = realpath(path, nil) else { throw BenchmarkError("There is no \(path): start this in the repository or give --root.") }
    defer { free(text) }
    return String(cString: text)
}

/// A TCP port of the loopback address that nobody uses at this moment.
func freePort() throws -> Int {
    guard let port = Ports.free() else { throw BenchmarkError("No free port was found.") }
    return port
}
