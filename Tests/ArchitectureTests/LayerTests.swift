import Foundation
import JSON
import TestSupport
import Testing

/// The folders of `Sources`, lowest first. A target's layer is the folder that it lies in.
private let layers = ["C", "Core", "Bridges", "Kit", "Domain", "Services", "Tools"]

private let root = URL(filePath: repository)

/// `make test` writes this file with `swift package dump-package` before the tests run.
private let description = root.appending(path: ".build/package.json")

@Suite struct LayerTests {
    @Test("every target depends only on its own layer or on a lower one, and no executable on another", .enabled(if: hasDescription))
    func dependenciesPointDown() throws {
        let package = try JSONValue.parse([UInt8](Data(contentsOf: description)))
        let targets = (package["targets"]?.array ?? []).filter { $0["path"]?.string?.hasPrefix("Sources/") == true }
        var layer: [String: Int] = [:]
        for target in targets {
            let name = try #require(target["name"]?.string)
            let path = try #require(target["path"]?.string).split(separator: "/").map(String.init)
            #expect(path.count == 3 && path[2] == name, "\(name) lies in \(path.joined(separator: "/")), not in Sources/<Layer>/\(name).")
            let index: Int = try #require(layers.firstIndex(of: path[1]), "\(path[1]) is no layer.")
            layer[name] = index
        }
        let executables = try #require(layers.firstIndex(of: "Services"))
        for target in targets {
            guard let name = target["name"]?.string, let own = layer[name] else { continue }
            for dependency in target["dependencies"]?.array ?? [] {
                guard let other = dependency["byName"]?[0]?.string else { continue }
                let below = try #require(layer[other])
                #expect(below <= own, "\(name) depends on \(other), which is above it.")
                #expect(below < executables, "\(name) depends on the executable \(other).")
                if layers[below] == "C" { #expect(layers[own] == "Bridges" || name == "JSON", "\(name) imports C; only bridges (and JSON) may.") }
            }
        }
        let folders = try layers.flatMap { try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources/\($0)").path) }
        #expect(Set(layer.keys) == Set(folders))
    }

    @Test("every target imports what it declares and declares what it imports", .enabled(if: hasDescription))
    func importsAreDeclared() throws {
        let package = try JSONValue.parse([UInt8](Data(contentsOf: description)))
        let targets = package["targets"]?.array ?? []
        let own = Set(targets.compactMap { $0["name"]?.string })
        for target in targets {
            guard let name = target["name"]?.string, let path = target["path"]?.string, target["type"]?.string != "system-target" else { continue }
            var imported: Set<String> = []
            let folder = root.appending(path: path)
            for file in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where file.hasSuffix(".swift") {
                for line in try String(contentsOf: folder.appending(path: file), encoding: .utf8).split(separator: "\n") {
                    let words = line.split(separator: " ")
                    guard let place = words.firstIndex(of: "import"), place <= 1, place + 1 < words.count else { continue }
                    imported.insert(words[place + 1].split(separator: ".").first.map(String.init) ?? "")
                }
            }
            let declared = Set((target["dependencies"]?.array ?? []).compactMap { $0["byName"]?[0]?.string })
            let undeclared = imported.intersection(own).subtracting(declared)
            #expect(undeclared.isEmpty, "\(name) imports \(undeclared.sorted()) without declaring it.")
            #expect(declared.isSubset(of: imported), "\(name) declares \(declared.subtracting(imported).sorted()) and does not import it.")
        }
    }

    @Test("the core imports neither C nor the clock")
    func coreStaysPure() throws {
        let folder = root.appending(path: "Sources/Core")
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where path.hasSuffix(".swift") {
            let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            for word in ["import Glibc", "import Foundation", "import Dispatch"] {
                let isAllowed = word == "import Glibc" && arithmetic.contains { path.hasPrefix($0 + "/") }
                #expect(!text.contains(word) || isAllowed, "\(path) says \(word).")
            }
        }
    }

    /// `log`, `exp` and friends are Glibc's; these targets do arithmetic with them and nothing else.
    private let arithmetic = ["Features", "Detectors", "Simulation"]
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
