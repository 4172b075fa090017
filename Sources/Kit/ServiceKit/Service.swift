import Glibc
import HTTPServer
import RedisClient

/// The version that every executable prints.
public let vyuhaVersion = "0.1.0"

/// What every service is given: its log, its metrics and its life.
public struct Service: Sendable {
    public let name: String
    public let log: Logger
    public let metrics: Metrics
    public let life: Lifecycle

    /// For programs that use parts of a service without being one; a service is made by `run`.
    public init(name: String, log: Logger, metrics: Metrics, life: Lifecycle) {
        self.name = name
        self.log = log
        self.metrics = metrics
        self.life = life
    }

    /// Runs a long-lived service: reads settings (or answers `--help`, `--version`, `--check-config`, `--print-config`), installs the
    /// signal handling, serves `/health`, `/ready` and `/metrics`, runs the pipeline on this thread and exits.
    ///
    /// Exit status: 0 after a graceful stop, 64 for wrong settings (EX_USAGE), 1 when the pipeline failed.
    /// - Parameters:
    ///   - summary: one sentence for `--help`.
    ///   - settings: reads every setting of the service from the reader.
    ///   - pipeline: returns when `service.life.isStopping` and everything is drained; throws only what it cannot recover from.
    public static func run<S: ServiceSettings>(
        _ name: String, _ summary: String, settings: (inout SettingsReader) -> S?, pipeline: (S, Service) throws -> Void
    ) -> Never {
        var isProbe = false
        let parsed = readSettings(name, summary, switches: ["--probe"]) { reader in
            isProbe = reader.toggle("--probe", "Ask the service that runs with these settings whether it is ready; exit with status 0 if so, else 1.")
            return settings(&reader)
        }
        let common = parsed.common
        if isProbe { exit(Probe.isReady(port: common.adminAddress.port) ? 0 : 1) }
        let service = Service(
            name: name,
            log: Logger(service: name, level: common.logLevel, format: common.logFormat),
            metrics: Metrics(common: [("service", name), ("use_case", common.useCaseName)]),
            life: Lifecycle())
        ProcessMetrics.register(in: service.metrics)
        service.registerLife()
        service.life.stopOnSignals(grace: 10, log: service.log)
        do {
            var server = HTTPServerSettings(host: common.adminAddress.host, port: common.adminAddress.port)
            parsed.configure(&server)
            let admin = try AdminServer(server, service: service, routes: parsed.routes)
            service.log.info("started", ["version": vyuhaVersion, "use_case": common.useCaseName, "port": admin.port])
            try pipeline(parsed, service)
            service.life.stop()
            admin.stop()
            service.log.info("stopped")
            exit(0)
        } catch {
            service.log.error("the service cannot go on", ["error": "\(error)"])
            exit(1)
        }
    }

    /// What `/health` and `/ready` say, as metrics, and the version that runs.
    private func registerLife() {
        let life = life
        metrics.computed("vyuha_ready", "1 while the service is ready and nothing holds its work up, else 0.") {
            life.obstacle == nil && life.trouble == nil ? 1 : 0
        }
        metrics.computed("vyuha_loop_idle_seconds", "Time since the pipeline's loop last turned; 0 before its first turn.") {
            life.secondsSinceTurn ?? 0
        }
        metrics.gauge("vyuha_build_info", "Always 1; the label says which version runs.", [("version", vyuhaVersion)]).set(1)
    }

    /// Settings of any executable, services and commands alike; exits on the four questions and on mistakes.
    /// - Parameters:
    ///   - arguments: without the names of program and command.
    ///   - switches: the command's own flags that take no value.
    public static func readSettings<S>(
        _ name: String, _ summary: String, arguments: [String] = Array(CommandLine.arguments.dropFirst()), switches: Set<String> = [],
        _ settings: (inout SettingsReader) -> S?
    ) -> S {
        var reader = SettingsReader(
            arguments: arguments, environment: SettingsReader.processEnvironment(),
            switches: switches.union(["--help", "--version", "--check-config", "--print-config"]))
        let help = reader.toggle("--help", "Print this and exit.")
        let version = reader.toggle("--version", "Print the version and exit.")
        let check = reader.toggle("--check-config", "Check settings and use case, print what is wrong, and exit.")
        let show = reader.toggle("--print-config", "Print every setting as it was understood, secrets redacted, and exit.")
        if version {
            print("\(name) \(vyuhaVersion)")
            exit(0)
        }
        let result = settings(&reader)
        if help {
            print("\(name): \(summary)\n\nUsage: \(name) [options]\nEach option is also the environment variable in brackets.\n\n\(reader.help)")
            exit(0)
        }
        do {
            try reader.finish()
        } catch {
            standardError("\(name): \(error)\n")
            exit(64)
        }
        if show {
            print(reader.report)
            exit(0)
        }
        guard let result else {
            standardError("\(name): the settings are incomplete. See \(name) --help.\n")
            exit(64)
        }
        if check {
            print("\(name): settings and use case are in order.")
            exit(0)
        }
        return result
    }

    /// Writes a line for people, outside the log.
    public static func standardError(_ text: String) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { _ = write(2, $0.baseAddress, $0.count) }
    }
}

/// Settings of one service: its own plus the common ones.
public protocol ServiceSettings {
    var common: CommonSettings { get }
    /// More endpoints on the admin port; none by default.
    var routes: AdminRoutes? { get }
    /// What the service's HTTP server has besides address and port: limits, TLS. Changes nothing by default.
    func configure(_ server: inout HTTPServerSettings)
}

extension ServiceSettings {
    public var routes: AdminRoutes? { nil }
    public func configure(_ server: inout HTTPServerSettings) {}
}

/// Settings that every service has.
public struct CommonSettings: Sendable {
    public let useCaseName: String
    public let redis: RedisSettings
    public let adminAddress: (host: String, port: Int)
    public let instanceID: String?
    public let logLevel: LogLevel
    public let logFormat: Logger.Format

    /// - Parameters:
    ///   - useCaseName: from the loaded use case, for logs and metrics.
    ///   - defaultPort: of the admin endpoints.
    public init?(_ reader: inout SettingsReader, useCaseName: String, defaultPort: Int) {
        self.useCaseName = useCaseName
        let redis = Self.redis(&reader)
        let host = reader.string("VYUHA_HOST", default: "0.0.0.0", "Address that the HTTP endpoints listen on.")
        let port = reader.integer("VYUHA_PORT", default: defaultPort, in: 0...65_535, "Port of the HTTP endpoints; 0 takes a free one.")
        adminAddress = (host, port)
        instanceID = reader.value(
            "VYUHA_INSTANCE_ID", default: nil,
            "A name that stays with this instance over restarts (static group membership); `hostname` takes the host's name; "
                + "unset: dynamic membership."
        ) { $0 == "hostname" ? Self.hostName : $0 }
        let level = reader.choice("VYUHA_LOG_LEVEL", default: "info", of: LogLevel.allCases.map(\.name), "How much is logged.")
        logLevel = LogLevel(name: level) ?? .info
        let format = reader.choice(
            "VYUHA_LOG_FORMAT", default: isatty(2) == 1 ? "text" : "json", of: ["json", "text"], "Form of a log line.")
        logFormat = Logger.Format(rawValue: format) ?? .json
        guard let redis else { return nil }
        self.redis = redis
    }

    /// In a container its id, which stays over restarts of the container; in a pod of a StatefulSet the pod's name.
    private static var hostName: String {
        var names = utsname()
        uname(&names)
        return withUnsafeBytes(of: &names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    public static func redis(_ reader: inout SettingsReader) -> RedisSettings? {
        reader.value("REDIS_URL", default: "redis://127.0.0.1:6379", secret: true, "redis://[user[:password]@]host[:port][/database]") {
            try RedisSettings(url: $0)
        }
    }
}
