// swift-tools-version: 6.2
// A layer is a folder: Sources/<Layer>/<Target>, Tests/<Layer>/<Target>Tests. A target may depend on its own layer or on one below it, never on
// one above; Tests/ArchitectureTests checks this against `swift package dump-package`.
import PackageDescription

/// CI turns every warning into an error; a developer's build stays usable on a newer compiler.
let strict: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]
let swift: [SwiftSetting] = [.swiftLanguageMode(.v6)] + strict

/// Lowest first.
enum Layer: String {
    /// Debian packages, no logic of ours beyond a typed shim.
    case c = "C"
    /// Pure: no I/O, no clock. JSON is here because it is a function of its bytes, as BLAS would be.
    case core = "Core"
    /// The only importers of C with I/O.
    case bridges = "Bridges"
    /// What every service stands on.
    case kit = "Kit"
    case domain = "Domain"
    /// Executables, a pod each. None imports another.
    case services = "Services"
    /// Executables for people: operations, and what measures the others from outside.
    case tools = "Tools"

    func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
        .target(name: name, dependencies: dependencies, path: path(name), swiftSettings: swift)
    }

    func executable(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
        .executableTarget(name: name, dependencies: dependencies, path: path(name), swiftSettings: swift)
    }

    func system(_ name: String, _ pkgConfig: String, apt: String) -> Target {
        .systemLibrary(name: name, path: path(name), pkgConfig: pkgConfig, providers: [.apt([apt])])
    }

    func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
        .testTarget(
            name: name + "Tests", dependencies: dependencies, path: "Tests/\(rawValue)/\(name)Tests", exclude: exclude, swiftSettings: swift)
    }

    private func path(_ name: String) -> String { "Sources/\(rawValue)/\(name)" }
}

let c: [Target] = [
    Layer.c.system("CRDKafka", "rdkafka", apt: "librdkafka-dev"),
    Layer.c.system("CHiredis", "hiredis", apt: "libhiredis-dev"),
    Layer.c.system("CCurl", "libcurl", apt: "libcurl4-openssl-dev"),
    Layer.c.system("CYAML", "yaml-0.1", apt: "libyaml-dev"),
    Layer.c.system("CMicroHTTPD", "libmicrohttpd", apt: "libmicrohttpd-dev"),
    Layer.c.system("CCrypto", "libcrypto", apt: "libssl-dev"),
    Layer.c.system("CZlib", "zlib", apt: "zlib1g-dev"),
    Layer.c.system("CZstd", "libzstd", apt: "libzstd-dev"),
    Layer.c.system("CLZ4", "liblz4", apt: "liblz4-dev"),
    Layer.c.system("CSnappy", "snappy", apt: "libsnappy-dev"),
    Layer.c.system("CMosquitto", "libmosquitto", apt: "libmosquitto-dev"),
    Layer.c.system("CPQ", "libpq", apt: "libpq-dev"),
    .target(name: "CSimdJSON", path: "Sources/C/CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
]

let core: [Target] = [
    Layer.core.library("Text"),
    Layer.core.library("JSON", ["CSimdJSON", "Text"]),
    Layer.core.library("Contracts", ["JSON"]),
    Layer.core.library("Features", ["Contracts", "JSON", "Text"]),
    Layer.core.library("Detectors", ["JSON", "Text"]),
    Layer.core.library("Simulation", ["Text"]),
    Layer.core.library("Alerting", ["Contracts", "JSON", "Text"]),
    Layer.core.library("Quality", ["JSON", "Text"]),
]

let bridges: [Target] = [
    Layer.bridges.library("Platform"),
    Layer.bridges.library("KafkaClient", ["CRDKafka", "Platform"]),
    Layer.bridges.library("RedisClient", ["CHiredis"]),
    Layer.bridges.library("HTTPClient", ["CCurl"]),
    Layer.bridges.library("MQTTClient", ["CMosquitto"]),
    Layer.bridges.library("PostgresClient", ["CPQ", "JSON"]),
    Layer.bridges.library("Crypto", ["CCrypto"]),
    Layer.bridges.library("HTTPServer", ["CMicroHTTPD", "Crypto", "JSON", "Text"]),
    Layer.bridges.library("YAMLReader", ["CYAML", "Text"]),
    Layer.bridges.library("CSVReader", ["CZlib", "Text"]),
    Layer.bridges.library("Compression", ["CLZ4", "CSnappy", "CZlib", "CZstd"]),
    Layer.bridges.library("Parquet", ["Compression"]),
]

let kit: [Target] = [
    Layer.kit.library("ServiceKit", ["JSON", "HTTPServer", "RedisClient", "Platform", "Text"]),
    // The consumer's loop, records and dead letters on their way out, and state per partition.
    Layer.kit.library("Streaming", ["ServiceKit", "KafkaClient", "RedisClient", "Compression", "Contracts", "JSON", "Platform"]),
]

let domain: [Target] = [
    Layer.domain.library("UseCases", ["YAMLReader", "Contracts", "Features", "Detectors", "Alerting", "JSON", "ServiceKit", "Text"]),
    Layer.domain.library("AlertStore", ["Alerting", "RedisClient", "Contracts", "JSON"]),
    Layer.domain.library("FeatureStore", ["RedisClient", "Contracts", "JSON", "Text"]),
    Layer.domain.library("Scoring", ["UseCases", "Detectors", "Contracts", "JSON", "Text"]),
    Layer.domain.library("ModelRegistry", ["RedisClient", "Contracts"]),
]

let services: [Target] = [
    Layer.services.executable(
        "Producer",
        [
            "UseCases", "Features", "Simulation", "Quality", "Compression", "CSVReader", "HTTPClient", "HTTPServer", "MQTTClient",
            "PostgresClient", "KafkaClient", "RedisClient", "Streaming", "ServiceKit", "Contracts", "JSON", "Platform", "Text",
        ]),
    Layer.services.executable("StreamProcessor", ["UseCases", "Streaming", "Features", "KafkaClient", "ServiceKit", "Contracts", "JSON"]),
    Layer.services.executable("FeatureWriter", ["UseCases", "FeatureStore", "KafkaClient", "RedisClient", "Streaming", "ServiceKit", "Contracts"]),
    Layer.services.executable(
        "ScoringService",
        [
            "UseCases", "Features", "FeatureStore", "Streaming", "Scoring", "Detectors", "Quality", "ModelRegistry", "HTTPServer",
            "RedisClient", "KafkaClient", "ServiceKit", "Contracts", "JSON", "Platform",
        ]),
    Layer.services.executable(
        "AlertSink",
        [
            "UseCases", "Alerting", "AlertStore", "HTTPClient", "RedisClient", "KafkaClient", "Streaming", "ServiceKit", "Contracts", "JSON",
            "Platform",
        ]),
    Layer.services.executable(
        "Trainer",
        ["UseCases", "Features", "Detectors", "Quality", "ModelRegistry", "CSVReader", "RedisClient", "ServiceKit", "Contracts", "JSON", "Text"]),
]

let tools: [Target] = [
    Layer.tools.executable(
        "VyuhaCtl",
        [
            "UseCases", "Features", "Detectors", "Quality", "ModelRegistry", "Alerting", "AlertStore", "CSVReader", "YAMLReader", "HTTPClient",
            "PostgresClient", "RedisClient", "KafkaClient", "Streaming", "ServiceKit", "Contracts", "JSON", "Text",
        ]),
    Layer.tools.executable(
        "Benchmarks",
        [
            "UseCases", "Features", "FeatureStore", "Streaming", "Detectors", "ModelRegistry", "Alerting", "AlertStore", "HTTPServer", "HTTPClient",
            "KafkaClient", "RedisClient", "ServiceKit", "Contracts", "JSON", "Text",
        ]),
]

let checks: [Target] = [
    Layer.core.tests("Text", ["Text"]),
    .testTarget(
        name: "ArchitectureTests", dependencies: ["JSON", "TestSupport"], path: "Tests/ArchitectureTests", swiftSettings: swift),
    Layer.core.tests("JSON", ["JSON", "Text"]),
    Layer.core.tests("Contracts", ["Contracts", "JSON", "YAMLReader", "TestSupport"]),
    Layer.core.tests("Features", ["Features", "Contracts", "JSON", "Text"]),
    Layer.core.tests("Detectors", ["Detectors", "JSON", "Text"]),
    Layer.core.tests("Simulation", ["Simulation"]),
    Layer.core.tests("Alerting", ["Alerting", "JSON"]),
    Layer.core.tests("Quality", ["Quality"]),
    Layer.bridges.tests("KafkaClient", ["KafkaClient", "TestSupport"]),
    Layer.bridges.tests("RedisClient", ["RedisClient", "TestSupport"]),
    Layer.bridges.tests("Crypto", ["Crypto"]),
    Layer.bridges.tests("HTTP", ["HTTPClient", "HTTPServer", "TestSupport"]),
    Layer.bridges.tests("YAMLReader", ["YAMLReader", "Text"]),
    Layer.bridges.tests("CSVReader", ["CSVReader", "Text"]),
    Layer.bridges.tests("Compression", ["Compression"]),
    Layer.bridges.tests("Parquet", ["Compression", "Parquet", "Text"], exclude: ["Golden"]),
    Layer.kit.tests("ServiceKit", ["ServiceKit", "Streaming", "HTTPServer", "RedisClient", "Platform", "TestSupport"]),
    Layer.domain.tests("UseCases", ["UseCases", "Features", "Detectors", "JSON", "Text", "TestSupport"]),
    Layer.domain.tests("FeatureStore", ["FeatureStore", "Contracts", "RedisClient", "TestSupport"]),
    Layer.kit.tests("Streaming", ["Streaming", "Contracts", "KafkaClient", "RedisClient", "ServiceKit", "TestSupport"]),
    Layer.domain.tests("Scoring", ["Scoring", "UseCases", "Detectors", "Contracts", "JSON", "Text"]),
    Layer.domain.tests("ModelRegistry", ["ModelRegistry", "Contracts", "RedisClient", "TestSupport"]),
    Layer.services.tests(
        "Producer",
        [
            "Producer", "UseCases", "Features", "Simulation", "HTTPClient", "KafkaClient", "RedisClient", "Streaming", "ServiceKit", "Contracts",
            "JSON", "Text",
            "TestSupport",
        ]),
    Layer.services.tests(
        "StreamProcessor",
        [
            "StreamProcessor", "Features", "Contracts", "JSON", "KafkaClient", "RedisClient", "ServiceKit", "Streaming", "TestSupport",
        ]),
    Layer.services.tests(
        "ScoringService",
        [
            "ScoringService", "UseCases", "Features", "FeatureStore", "Streaming", "Scoring", "Detectors", "ModelRegistry", "HTTPServer",
            "RedisClient",
            "KafkaClient", "ServiceKit", "Contracts", "JSON", "TestSupport",
        ]),
    Layer.services.tests(
        "AlertSink",
        [
            "AlertSink", "UseCases", "Alerting", "AlertStore", "HTTPClient", "HTTPServer", "KafkaClient", "RedisClient", "ServiceKit", "Contracts",
            "JSON", "TestSupport",
        ]),
    Layer.services.tests(
        "Trainer", ["Trainer", "UseCases", "Features", "Detectors", "Simulation", "CSVReader", "ServiceKit", "JSON", "Text", "TestSupport"]),
    Layer.tools.tests(
        "VyuhaCtl",
        [
            "VyuhaCtl", "UseCases", "Quality", "YAMLReader", "KafkaClient", "RedisClient", "Streaming", "ServiceKit", "Contracts", "JSON",
            "TestSupport",
        ]),
    Layer.tools.tests(
        "Suite", ["TestSupport", "Contracts", "JSON", "KafkaClient", "RedisClient", "HTTPClient", "ServiceKit"], exclude: ["Definitions"]),
    // A real redis-server of a test's own, and where the repository and the built executables are.
    .target(name: "TestSupport", dependencies: ["RedisClient", "ServiceKit"], path: "Tests/TestSupport", swiftSettings: swift),
]

func product(_ name: String, _ target: String) -> Product { .executable(name: name, targets: [target]) }

let package = Package(
    name: "vyuha",
    products: [
        product("producer", "Producer"),
        product("stream-processor", "StreamProcessor"),
        product("feature-writer", "FeatureWriter"),
        product("scoring-service", "ScoringService"),
        product("alert-sink", "AlertSink"),
        product("trainer", "Trainer"),
        product("vyuhactl", "VyuhaCtl"),
        product("benchmarks", "Benchmarks"),
    ],
    targets: c + core + bridges + kit + domain + services + tools + checks,
    cxxLanguageStandard: .cxx17
)
