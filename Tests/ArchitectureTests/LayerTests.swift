import Foundation
import JSON
import Testing

/// The layers of Package.swift, as the design states them: 0 C, 1 pure, 2 bridges and kit, 3 domain, 4 executables.
private let layers: [[String]] = [
    ["CRDKafka", "CHiredis", "CCurl", "CYAML", "CMicroHTTPD", "CZlib", "CPQ", "CSimdJSON"],
    ["JSON", "Contracts", "Features", "Detectors", "Simulation", "Quality", "Alerting"],
    ["KafkaClient", "RedisClient", "HTTPClient", "HTTPServer", "PostgresClient", "YAMLReader", "CSVReader", "Compression", "ServiceKit"],
    ["UseCases", "FeatureStore", "ModelRegistry", "StateStore", "AlertStore"],
    ["Producer", "StreamProcessor", "FeatureWriter", "ScoringService", "AlertSink", "Trainer", "VyuhaCtl", "Benchmarks"],
]

private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// `make test` writes this file with `swift package dump-package` before the tests run.
private let description = root.appending(path: ".build/package.json")

@Suite struct LayerTests {
    @Test("every target depends only on its own layer or on a lower one, and no executable on another", .enabled(if: hasDescription))
    func dependenciesPointDown() throws {
        let package = try JSONValue.parse([UInt8](Data(contentsOf: description)))
        var layer: [String: Int] = [:]
        for (index, names) in layers.enumerated() { for name in names { layer[name] = index } }
        var seen = 0
        for target in package["targets"]?.array ?? [] {
            guard let name = target["name"]?.string, target["type"]?.string != "test", name != "TestSupport" else { continue }
            let own = try #require(layer[name], "\(name) has no layer: add it to the design's table and to this one.")
            seen += 1
            for dependency in target["dependencies"]?.array ?? [] {
                guard let other = dependency["byName"]?[0]?.string else { continue }
                let below = try #require(layer[other])
                #expect(below <= own, "\(name) depends on \(other), which is above it.")
                #expect(!(own == 4 && below == 4), "\(name) depends on the executable \(other).")
                if below == 0 { #expect(own == 2 || name == "JSON", "\(name) imports C; only bridges (and JSON) may.") }
            }
        }
        #expect(seen == layers.joined().count)
    }

    @Test("only the layer of bridges imports C or the clock")
    func pureTargetsStayPure() throws {
        for target in layers[1] {
            for (file, text) in try sources(of: target) {
                for word in ["import Glibc", "import Foundation", "import Dispatch"] {
                    #expect(!text.contains(word) || pureExceptions[target] == word, "\(file) says \(word).")
                }
            }
        }
    }

    /// `log`, `exp` and friends are Glibc's; these targets do arithmetic with them and nothing else.
    private let pureExceptions = ["Features": "import Glibc", "Detectors": "import Glibc", "Simulation": "import Glibc"]

    private func sources(of target: String) throws -> [(String, String)] {
        let folder = root.appending(path: "Sources/" + target)
        return try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }.map {
            ($0, try String(contentsOf: folder.appending(path: $0), encoding: .utf8))
        }
    }
}

private let hasDescription = FileManager.default.fileExists(atPath: description.path)

@Suite struct DocumentTests {
    @Test("every path that the README names exists")
    func readmePathsExist() throws {
        let text = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        for word in text.split(separator: "`") where word.hasPrefix("Sources/") || word.hasPrefix("Tests/") || word.hasPrefix("services/") {
            guard !word.contains("<"), !word.contains("*"), !word.contains(" ") else { continue }
            #expect(FileManager.default.fileExists(atPath: root.appending(path: String(word)).path), "README.md names \(word).")
        }
    }
}
