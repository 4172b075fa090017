import Glibc

/// A private folder of one run (mode 0700), under `TMPDIR` or `/tmp`.
struct TemporaryFolder: Sendable {
    let path: String
    private static let prefix = "vyuha-"

    init() throws(CommandError) {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((base + "/" + Self.prefix + "XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandError(
                "No temporary folder can be made in \(base): \(systemError(errno)). Set TMPDIR to a folder that can be written.")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Path of a file or folder inside.
    func file(_ name: String) -> String { path + "/" + name }

    /// Makes a folder inside and gives its path.
    func folder(_ name: String) -> String {
        mkdir(file(name), 0o700)
        return file(name)
    }

    func remove() { Self.remove(path) }

    /// Removes everything inside except what is named.
    func remove(except kept: String) {
        for name in Self.entries(of: path) where name != kept { Self.remove(file(name)) }
    }

    /// Whether a path can be one of these folders; the guard removes nothing else.
    static func isOne(_ path: String) -> Bool {
        path.split(separator: "/").last?.hasPrefix(prefix) == true && !path.contains("..")
    }

    /// Removes a file or a folder with all it holds; follows no links.
    static func remove(_ path: String) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        if info.st_mode & S_IFMT == S_IFDIR {
            for name in entries(of: path) { remove(path + "/" + name) }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    static func entries(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

/// The system's sentence for an error number.
func systemError(_ number: Int32) -> String { String(cString: strerror(number)) }
