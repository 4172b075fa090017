import CSVReader
import Glibc
import ServiceKit
import Text

/// Which file a source reads now, and which comes next: a single file, a folder's files in order of their names (`NaturalOrder`), or a file that is
/// followed as `tail -F` does, over rotations. A followed folder is looked through for later files again and again.
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
    /// Of a folder: the files that are known, and when it was last looked through, milliseconds since 1970.
    private var known: Set<String> = []
    private(set) var listedAt: Int64 = 0
    private var listAgainAt = 0.0
    /// Files that came too late to be read in their order, to be named once.
    private(set) var missed: [String] = []
    /// Of a followed file: what it was when it was last compared.
    private var print: FilePrint?
    private var printed: FileStatus?
    private var compareAgainAt = 0.0

    /// Seconds between two looks into a folder, and between two comparisons of a file that seems unchanged.
    private static let listInterval = 0.2
    private static let compareInterval = 2.0

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
        known = Set(files)
        listedAt = Clock.milliseconds
        current = Self.inFolder(path, first)
    }

    /// The share that has been read.
    func fraction(current share: Double) -> Double { (Double(done) + share) / Double(done + 1 + left.count) }

    /// Gives a followed file its own name by its first lines.
    /// - Returns: false while it has not got them.
    mutating func identify() -> Bool {
        guard follows, isSingle, root != "-" else { return true }
        guard current.cursor.isEmpty else { return true }
        inode = FileStatus(current.path)?.inode ?? 0
        guard let mark = Self.mark(of: current.path, lines: lines) else { return false }
        current.cursor = mark
        current.idName = name + "#" + mark
        return true
    }

    /// What to do at the end of the current file.
    mutating func step() -> Step {
        if follows, !isSingle { list() }
        if !left.isEmpty {
            // A later file is there, so this one is complete.
            if follows, !hadLastLook {
                hadLastLook = true
                return .lastLook
            }
            return turn(to: left.removeFirst())
        }
        guard follows, isSingle, root != "-" else { return .stay }
        guard let status = FileStatus(root) else { return .stay }
        if inode == 0 { inode = status.inode }
        guard current.path != root || status.inode != inode else {
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

    /// Whether a followed file was written anew under its name since the last call, as by `truncate` and a writer that goes on: then it is `current` again, from
    /// its beginning. Compared when it has changed, and every few seconds.
    /// - Parameter readSoFar: bytes.
    mutating func wasRewritten(readSoFar: Int64) -> Bool {
        guard follows, isSingle, current.path == root, let status = FileStatus(root), status.inode == inode else { return false }
        let now = Clock.monotonicSeconds
        guard status != printed || readSoFar != print?.end || now >= compareAgainAt else { return false }
        compareAgainAt = now + Self.compareInterval
        let isSame = status.size >= readSoFar && print?.matches(root) ?? true
        print = isSame ? FilePrint(root, end: readSoFar) : nil
        printed = status
        if !isSame { _ = turn(to: root) }
        return !isSame
    }

    /// Looks through a folder for later files, and for those that came behind `current`.
    private mutating func list() {
        let now = Clock.monotonicSeconds
        guard now >= listAgainAt else { return }
        listAgainAt = now + Self.listInterval
        let files = Self.files(in: root)
        listedAt = Clock.milliseconds
        left = files.filter { NaturalOrder.isBefore(current.cursor, $0) }
        for file in files where known.insert(file).inserted && NaturalOrder.isBefore(file, current.cursor) { missed.append(file) }
    }

    /// The files that were missed since the last call.
    mutating func takeMissed() -> [String] {
        defer { missed.removeAll() }
        return missed
    }

    private mutating func turn(to file: String) -> Step {
        done += 1
        replacedAt = nil
        hadLastLook = false
        print = nil
        if isSingle {
            current = File(path: file, idName: name, cursor: "")
            _ = identify()
        } else {
            current = Self.inFolder(root, file)
        }
        return .next
    }

    /// Goes on with the file of an earlier run.
    /// - Parameter listedAt: when that run last looked through the folder; a file that has come or changed behind its position since was not read.
    /// - Returns: false when it is gone: then everything that is there now is new.
    mutating func resume(at cursor: String, listedAt: Int64) -> Bool {
        if !isSingle {
            let files = Self.files(in: root)
            if listedAt > 0 {
                missed = files.filter {
                    NaturalOrder.isBefore($0, cursor) && (FileStatus(root + "/" + $0)?.changed ?? 0) / 1_000_000 > listedAt
                }
            }
            guard files.contains(cursor) else {
                let later = files.filter { NaturalOrder.isBefore(cursor, $0) }
                guard let first = later.first else { return false }
                left = Array(later.dropFirst())
                current = Self.inFolder(root, first)
                return false
            }
            left = files.filter { NaturalOrder.isBefore(cursor, $0) }
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
        inode = FileStatus(current.path)?.inode ?? 0
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

    private static func isOlder(_ a: String, _ b: String) -> Bool { (FileStatus(a)?.modified ?? 0) < (FileStatus(b)?.modified ?? 0) }

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
            // Only where the folder itself does not say what it is, the file is asked.
            let isPlain = entry.pointee.d_type == UInt8(DT_REG) || !isFolder(folder + "/" + name)
            guard !name.hasPrefix("."), isPlain else { continue }
            names.append(name)
        }
        return names.sorted(by: NaturalOrder.isBefore)
    }

    private static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "file" }

    private static func folder(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
