import Glibc
import Text
import YAMLReader

/// Where definitions are looked for.
struct Places {
    private let folders: [String]

    init(environment: [String: String]?) {
        var folders: [String] = []
        let named = environment.map { $0["VYUHA_USECASES"] } ?? getenv("VYUHA_USECASES").map { String(cString: $0) }
        if let named, !named.isEmpty { folders.append(named) }
        folders.append("services/usecases")
        if let executable = Files.real("/proc/self/exe") {
            // <tree>/.build/<platform>/<configuration>/<executable>
            var tree = Files.folder(of: executable)
            for _ in 0..<3 { tree = Files.folder(of: tree) }
            folders.append((tree == "/" ? "" : tree) + "/services/usecases")
        }
        self.folders = folders
    }

    func find(_ nameOrPath: String) throws(UseCaseError) -> String {
        guard !nameOrPath.isEmpty else { throw UseCaseError(file: "", line: 0, column: 0, message: "The use case needs a name.") }
        let inside = nameOrPath + (nameOrPath.hasSuffix("/") ? "" : "/") + "usecase.yaml"
        var tried: [String] = []
        if !nameOrPath.contains("/") {
            for folder in folders {
                let file = folder + "/" + inside
                if Files.isFile(file) { return file }
                tried.append(file)
            }
        }
        if Files.isFile(nameOrPath) { return nameOrPath }
        if Files.isFile(inside) { return inside }
        tried.append(inside)
        var message = "There is no use case `\(nameOrPath)`; looked for \(tried.joined(separator: ", "))."
        if let nearest = Nearest.name(to: nameOrPath, in: names()) { message += " Did you mean `\(nearest)`?" }
        throw UseCaseError(file: "", line: 0, column: 0, message: message)
    }

    func names() -> [String] {
        var names: Set<String> = []
        for folder in folders {
            for name in Files.entries(of: folder) where Files.isFile("\(folder)/\(name)/usecase.yaml") { names.insert(name) }
        }
        return names.sorted()
    }
}

/// The few questions about files that this target asks.
enum Files {
    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
    }

    static func entries(of folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// The path without links and dots, or nil when there is nothing.
    static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func absoluteFolder(of file: String) -> String { real(file).map(folder) ?? folder(of: file) }
}
