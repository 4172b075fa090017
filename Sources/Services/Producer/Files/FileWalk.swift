import CSVReader
import Glibc
import ServiceKit
import Text

/// Which file a source reads now, and which comes next: a single file, a folder's files in order of their names, or a file that is
/// followed as `tail -F` does, over rotations.
///
/// A followed file is known by its first lines, not by its name: after a rotation the name belongs to another file, and a restart finds the old
/// one under a name that begins with its own, such as `access.log.1`.
struct FileWalk {
    struct File: Equatable {
        var path: String
        /// Names the file in ids.
        var idName: String
        /// Finds the file again after a restart.
        var cursor: String
    }

    enum Step {
        /// Nothing more for now, or ever.
        case stay
        /// The file has been replaced: one more look takes what is left of it.
        case lastLook
        /// `current` is another file.
        case next
    }

    /// Names the source.
    let name: String
    let isSingle: Bool
    private(set) var current: File

    private let root: String
    private let follows: Bool
    private let lines: Int
    /// Of a folder, or of the rotated files that a restart still has to read: what comes behind `current`.
    private var left: [String] = []
    private var done = 0
    private var inode: UInt = 0
    private var replacedAt: Double?
    private var hadLastLook = false

    /// Seconds that a writer may take to let go of a file that was renamed.
    private static let grace = 1.0

    /// - Parameter lines: how many first lines tell a file.
    init(path: String, follows: Bool, lines: Int) throws {
        root = path
        self.follows = follows
        self.lines = lines
        let isFolder = Self.isFolder(path)
        isSingle = !isFolder
        guard path != "-" else {
            name = "stdin"
            current = File(path: path, idName: name, cursor: "")
            return
        }
        name = Self.lastPart(path)
        guard isFolder else {
            current = File(path: path, idName: name, cursor: "")
            if follows { _ = identify() }
            return
        }
        let files = Self.files(in: path)
        guard let first = files.first else { throw SourceError("The folder \(path) has no file to read.") }
        left = Array(files.dropFirst())
        current = Self.inFolder(path, first)
    }

    /// The share that has been read.
    func fraction(current share: Double) -> Double { (Double(done) + share) / Double(done + 1 + left.count) }

    /// Gives a followed file its own name by its first lines.
    /// - Returns: false while it has not got them.
    mutating func identify() -> Bool {
        guard follows, isSingle, root != "-" else { return true }
        guard current.cursor.isEmpty else { return true }
        inode = Self.status(current.path)?.inode ?? 0
        guard let mark = Self.mark(of: current.path, lines: lines) else { return false }
        current.cursor = mark
        current.idName = name + "#" + mark
        return true
    }

    /// What to do at the end of the current file.
    /// - Parameter readSoFar: bytes, to notice a file that was cut.
    mutating func step(readSoFar: Int64) -> Step {
        if !left.isEmpty {
            // A later file is there, so this one is complete.
            if follows, !hadLastLook {
                hadLastLook = true
                return .lastLook
            }
            return turn(to: left.removeFirst())
        }
        guard follows, root != "-" else { return .stay }
        if !isSingle {
            let known = Self.lastPart(current.path)
            left = Self.files(in: root).filter { $0 > known }
            return .stay
        }
        guard let status = Self.status(root) else { return .stay }
        if inode == 0 { inode = status.inode }
        guard current.path != root || status.inode != inode || status.size < readSoFar else {
            replacedAt = nil
            return .stay
        }
        let since = replacedAt ?? Clock.monotonicSeconds
        replacedAt = since
        guard Clock.monotonicSeconds - since >= Self.grace else { return .stay }
        if !hadLastLook {
            hadLastLook = true
            return .lastLook
        }
        return turn(to: root)
    }

    private mutating func turn(to file: String) -> Step {
        done += 1
        replacedAt = nil
        hadLastLook = false
        if isSingle {
            current = File(path: file, idName: name, cursor: "")
            _ = identify()
        } else {
            current = Self.inFolder(root, file)
        }
        return .next
    }

    /// Goes on with the file of an earlier run.
    /// - Returns: false when it is gone: then everything that is there now is new.
    mutating func resume(at cursor: String) -> Bool {
        if !isSingle {
            let files = Self.files(in: root)
            guard files.contains(cursor) else {
                let later = files.filter { $0 > cursor }
                guard let first = later.first else { return false }
                left = Array(later.dropFirst())
                current = Self.inFolder(root, first)
                return false
            }
            left = files.filter { $0 > cursor }
            current = Self.inFolder(root, cursor)
            return true
        }
        // The oldest first: behind the file that was being read come those that have replaced it since.
        let folder = Self.folder(root)
        var found: [(path: String, mark: String)] = []
        for path in Self.files(in: folder).filter({ $0.hasPrefix(name) }).map({ folder + "/" + $0 }).sorted(by: Self.isOlder) {
            if let mark = Self.mark(of: path, lines: lines) { found.append((path, mark)) }
        }
        guard let place = found.firstIndex(where: { $0.mark == cursor }) else { return false }
        left = found[(place + 1)...].map(\.path)
        current = File(path: found[place].path, idName: name + "#" + cursor, cursor: cursor)
        inode = Self.status(current.path)?.inode ?? 0
        return true
    }

    // MARK: Files

    private static func inFolder(_ folder: String, _ file: String) -> File {
        File(path: folder + "/" + file, idName: lastPart(folder) + "/" + file, cursor: file)
    }

    /// A hash of the first lines, 16 hexadecimal digits; nil while the file has fewer.
    private static func mark(of path: String, lines: Int) -> String? {
        guard let reader = try? LineReader(path: path, maximumLineBytes: 64 << 10, follows: true) else { return nil }
        var hash = FNV1a()
        for _ in 0..<lines {
            guard (try? reader.next()) != nil else { return nil }
            hash.combine(reader.bytes[reader.range])
        }
        return Hexadecimal.text(hash.value)
    }

    private static func isOlder(_ a: String, _ b: String) -> Bool {
        let (first, second) = (status(a), status(b))
        return (first?.seconds ?? 0, first?.nanoseconds ?? 0) < (second?.seconds ?? 0, second?.nanoseconds ?? 0)
    }

    private static func status(_ path: String) -> (inode: UInt, size: Int64, seconds: Int, nanoseconds: Int)? {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        return (UInt(found.st_ino), Int64(found.st_size), found.st_mtim.tv_sec, found.st_mtim.tv_nsec)
    }

    private static func isFolder(_ path: String) -> Bool {
        var found = stat()
        return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
    }

    /// Names of the plain files in a folder, in order; hidden ones are left out.
    private static func files(in folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix("."), !isFolder(folder + "/" + name) else { continue }
            names.append(name)
        }
        return names.sorted()
    }

    private static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "file" }

    private static func folder(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
