// swift-tools-version: 6.2
// Layers, top to bottom; a target may depend on its own layer or on one below it, never on one above.
// Tests/ArchitectureTests checks this against `swift package dump-package`.
import PackageDescription

/// CI turns every warning into an error; a developer's build stays usable on a newer compiler.
let strict: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]
let swift: [SwiftSetting] = [.swiftLanguageMode(.v6)] + strict

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

func service(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(name: name + "Tests", dependencies: dependencies, exclude: exclude, swiftSettings: swift)
}

// MARK: Layer 0: C. Debian packages, no logic of ours beyond a typed shim.
let c: [Target] = [
    .systemLibrary(name: "CRDKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CHiredis", pkgConfig: "hiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
]

// MARK: Layer 1: pure. No I/O, no clock. JSON is here because it is a function of its bytes, as BLAS would be.
let pure: [Target] = [
    library("JSON", ["CSimdJSON"]),
    library("Contracts", ["JSON"]),
    library("Features", ["Contracts", "JSON"]),
    library("Detectors", ["JSON"]),
    library("Simulation"),
    library("Alerting", ["JSON"]),
    library("Quality", ["JSON"]),
]

// MARK: Layer 2: bridges, the only importers of C with I/O, and the kit that every service stands on.
let bridges: [Target] = [
    library("KafkaClient", ["CRDKafka"]),
    library("RedisClient", ["CHiredis"]),
    library("HTTPClient", ["CCurl"]),
    library("PostgresClient", ["CPQ"]),
    library("HTTPServer", ["CMicroHTTPD"]),
    library("YAMLReader", ["CYAML"]),
    library("CSVReader", ["CZlib"]),
    library("Compression", ["CZlib"]),
    library("ServiceKit", ["JSON", "Contracts", "HTTPServer", "KafkaClient", "RedisClient"]),
]

// MARK: Layer 3: domain.
let domain: [Target] = [
    library("UseCases", ["YAMLReader", "Contracts", "Features", "Detectors", "Alerting", "JSON", "ServiceKit"]),
    library("AlertStore", ["Alerting", "RedisClient", "Contracts", "JSON"]),
    library("FeatureStore", ["RedisClient", "Contracts", "JSON"]),
    library("StateStore", ["RedisClient", "KafkaClient", "Compression", "Contracts", "ServiceKit"]),
    library("ModelRegistry", ["RedisClient", "Contracts", "JSON"]),
]

// MARK: Layer 4: executables, a pod each. None imports another.
let services: [Target] = [
    service(
        "Producer",
        [
            "UseCases", "Features", "Simulation", "CSVReader", "HTTPClient", "HTTPServer", "PostgresClient", "KafkaClient", "RedisClient",
            "ServiceKit", "Contracts", "JSON",
        ]),
    service("StreamProcessor", ["UseCases", "StateStore", "Features", "KafkaClient", "ServiceKit", "Contracts", "JSON"]),
    service("FeatureWriter", ["UseCases", "FeatureStore", "KafkaClient", "ServiceKit", "Contracts", "JSON"]),
    service(
        "ScoringService",
        [
            "UseCases", "Features", "FeatureStore", "StateStore", "Detectors", "Quality", "ModelRegistry", "HTTPServer", "RedisClient",
            "KafkaClient",
            "ServiceKit", "Contracts", "JSON",
        ]),
    service("AlertSink", ["UseCases", "Alerting", "AlertStore", "HTTPClient", "RedisClient", "KafkaClient", "ServiceKit", "Contracts", "JSON"]),
    service("Trainer", ["UseCases", "Features", "Detectors", "ModelRegistry", "CSVReader", "ServiceKit", "Contracts", "JSON"]),
    service(
        "VyuhaCtl",
        [
            "UseCases", "Features", "Detectors", "Quality", "ModelRegistry", "Alerting", "AlertStore", "CSVReader", "YAMLReader", "HTTPClient",
            "RedisClient",
            "KafkaClient", "ServiceKit", "Contracts", "JSON",
        ]),
    // Measures the others from outside, as their users see them.
    service(
        "Benchmarks",
        [
            "UseCases", "Features", "FeatureStore", "StateStore", "Detectors", "ModelRegistry", "Alerting", "AlertStore", "HTTPServer",
            "HTTPClient", "KafkaClient",
            "RedisClient", "ServiceKit", "Contracts", "JSON",
        ]),
]

let checks: [Target] = [
    tests("Architecture", ["JSON"]),
    tests("JSON", ["JSON"]),
    tests("Contracts", ["Contracts", "JSON"]),
    tests("Features", ["Features", "Contracts", "JSON"]),
    tests("Detectors", ["Detectors", "JSON"]),
    tests("Simulation", ["Simulation"]),
    tests("Alerting", ["Alerting"]),
    tests("Quality", ["Quality"]),
    tests("KafkaClient", ["KafkaClient"]),
    tests("RedisClient", ["RedisClient", "TestSupport"]),
    tests("HTTP", ["HTTPClient", "HTTPServer", "TestSupport"]),
    tests("YAMLReader", ["YAMLReader"]),
    tests("CSVReader", ["CSVReader"]),
    tests("Compression", ["Compression"]),
    tests("ServiceKit", ["ServiceKit", "KafkaClient", "RedisClient", "TestSupport"]),
    tests("UseCases", ["UseCases", "Features", "Detectors", "JSON"]),
    tests("FeatureStore", ["FeatureStore", "TestSupport"]),
    tests("StateStore", ["StateStore", "TestSupport"]),
    tests("ModelRegistry", ["ModelRegistry", "TestSupport"]),
    tests(
        "Producer",
        [
            "Producer", "UseCases", "Features", "Simulation", "CSVReader", "PostgresClient", "HTTPClient", "KafkaClient", "RedisClient",
            "ServiceKit", "Contracts", "JSON", "TestSupport",
        ]),
    tests("StreamProcessor", ["StreamProcessor", "Features"]),
    tests(
        "ScoringService",
        [
            "ScoringService", "UseCases", "Features", "FeatureStore", "StateStore", "Detectors", "ModelRegistry", "HTTPServer", "RedisClient",
            "KafkaClient", "ServiceKit", "Contracts", "JSON", "TestSupport",
        ]),
    tests("AlertSink", ["AlertSink", "TestSupport"]),
    tests("Trainer", ["Trainer", "UseCases", "Features", "Detectors", "Simulation", "CSVReader", "JSON"]),
    tests("VyuhaCtl", ["VyuhaCtl", "Quality", "TestSupport"]),
    tests("Suite", ["TestSupport", "Contracts", "JSON", "KafkaClient", "RedisClient", "HTTPClient", "ServiceKit"], exclude: ["Definitions"]),
    // A real redis-server of a test's own, and where the built executables are.
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
    targets: c + pure + bridges + domain + services + checks,
    cxxLanguageStandard: .cxx17
)
