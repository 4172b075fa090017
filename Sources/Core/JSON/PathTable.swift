/// The names that a `JSONFields` looks for, compiled: a tree of objects whose names are compared eight bytes at a time.
///
/// Producers write their fields in the same order again and again, so a lookup starts behind the last name that was found
/// and hits at the first comparison; another order costs a scan of that object's names.
struct PathTable: ~Copyable {
    struct Entry {
        /// The first eight bytes of the name, zeros after its end.
        var head: UInt64
        var length: Int32
        /// Where the name starts in `names`.
        var name: Int32
        /// The slot that this name fills, or -1.
        var slot: Int32
        /// The object below this name, or -1.
        var child: Int32
        /// The first slot at or below this name: what a repeated object is reported as.
        var firstSlot: Int32
        /// The reading that last saw this name; a second sight in one reading is a repeated field.
        var seen: UInt32
    }

    /// The entries of one object; node 0 is the document.
    struct Node {
        var first: Int
        var count: Int
    }

    let nodes: UnsafeMutableBufferPointer<Node>
    /// "meta." for the object at `meta`; empty for the document.
    let prefixes: [String]
    let entries: UnsafeMutableBufferPointer<Entry>
    private let names: UnsafeMutableRawBufferPointer

    init(paths: [String]) throws(JSONError) {
        var root = Branch()
        for (slot, path) in paths.enumerated() {
            let names = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard !names.contains("") else {
                throw JSONError("The path \"\(path)\" has an empty name; write names joined by single dots, as in meta.location.")
            }
            guard root.insert(names[...], slot: slot) else { throw JSONError("The path \"\(path)\" is given twice.") }
        }
        var nodes: [Node] = []
        var entries: [Entry] = []
        var names: [UInt8] = []
        var open = [(root, "")]
        var next = 0
        while next < open.count {
            let (branch, prefix) = open[next]
            nodes.append(Node(first: entries.count, count: branch.members.count))
            for member in branch.members {
                let utf8 = Array(member.name.utf8)
                var child: Int32 = -1
                if !member.branch.members.isEmpty {
                    child = Int32(open.count)
                    open.append((member.branch, prefix + member.name + "."))
                }
                entries.append(
                    Entry(
                        head: Self.head(utf8), length: Int32(utf8.count), name: Int32(names.count), slot: Int32(member.slot ?? -1),
                        child: child, firstSlot: Int32(member.firstSlot), seen: 0))
                names.append(contentsOf: utf8)
            }
            next += 1
        }
        self.nodes = .allocate(capacity: nodes.count)
        _ = self.nodes.initialize(from: nodes)
        prefixes = open.map(\.1)
        self.entries = .allocate(capacity: entries.count)
        _ = self.entries.initialize(from: entries)
        self.names = .allocate(byteCount: names.count, alignment: 1)
        self.names.copyBytes(from: names)
    }

    deinit {
        nodes.deallocate()
        entries.deallocate()
        names.deallocate()
    }

    /// The entry of a name in an object, searching onward from `guess`; -1 when the name is not looked for.
    /// At least 8 bytes after the name must be readable.
    @inline(__always)
    func find(_ name: UnsafeRawBufferPointer, first: Int, count: Int, guess: Int) -> Int {
        guard let base = name.baseAddress else { return -1 }
        let length = name.count
        var head = base.loadUnaligned(as: UInt64.self).littleEndian
        if length < 8 { head &= (1 << UInt64(length * 8)) &- 1 }
        var index = guess
        for _ in 0..<count {
            if index >= first + count { index = first }
            if entries[index].head == head, Int(entries[index].length) == length, length <= 8 || isSame(base, entries[index]) {
                return index
            }
            index += 1
        }
        return -1
    }

    private func isSame(_ base: UnsafeRawPointer, _ entry: Entry) -> Bool {
        let start = Int(entry.name)
        for offset in 8..<Int(entry.length) where names[start + offset] != base.load(fromByteOffset: offset, as: UInt8.self) {
            return false
        }
        return true
    }

    private static func head(_ utf8: [UInt8]) -> UInt64 {
        var head: UInt64 = 0
        for (index, byte) in utf8.prefix(8).enumerated() { head |= UInt64(byte) << UInt64(8 * index) }
        return head
    }

    /// The tree while it is built.
    private struct Branch {
        var members: [Member] = []

        struct Member {
            var name: String
            var slot: Int?
            var firstSlot: Int
            var branch = Branch()
        }

        /// False when the path is there already.
        mutating func insert(_ names: ArraySlice<String>, slot: Int) -> Bool {
            guard let name = names.first else { return true }
            let index: Int
            if let found = members.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                index = found
            } else {
                index = members.count
                members.append(Member(name: name, slot: nil, firstSlot: slot))
            }
            if names.count == 1 {
                guard members[index].slot == nil else { return false }
                members[index].slot = slot
                return true
            }
            return members[index].branch.insert(names.dropFirst(), slot: slot)
        }
    }
}
