import Glibc

/// What the file system says about a file.
struct FileStatus: Equatable {
    var inode: UInt
    var size: Int64
    /// Nanoseconds since 1970 of the last change of its content, and of content, name or place.
    var modified: Int64
    var changed: Int64

    init?(_ path: String) {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
        (inode, size) = (UInt(found.st_ino), Int64(found.st_size))
        (modified, changed) = (nanoseconds(found.st_mtim), nanoseconds(found.st_ctim))
    }
}

/// The beginning of a file and what stands before a position: enough to notice that it was written anew, however long it is then.
struct FilePrint {
    private static let headBytes = 1_024
    private static let tailBytes = 256

    private let head: [UInt8]
    private let tail: [UInt8]
    let end: Int64

    /// - Parameter end: how far the file was read.
    init?(_ path: String, end: Int64) {
        guard let head = Self.read(path, from: 0, Int(min(end, Int64(Self.headBytes)))),
            let tail = Self.read(path, from: max(0, end - Int64(Self.tailBytes)), Int(min(end, Int64(Self.tailBytes))))
        else { return nil }
        (self.head, self.tail, self.end) = (head, tail, end)
    }

    /// False when the file is not any more what it was up to there.
    func matches(_ path: String) -> Bool { FilePrint(path, end: end).map { $0.head == head && $0.tail == tail } ?? false }

    /// Nil when the file has not got so many bytes.
    private static func read(_ path: String, from offset: Int64, _ count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? bytes : nil
    }
}
