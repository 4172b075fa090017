import Text

/// The keys of a mapping, in the order of the file.
public struct YAMLMapping: Sendable {
    public let entries: [YAMLEntry]
    /// The mapping as a value.
    public let node: YAMLNode

    public var keys: [String] { entries.map(\.key) }

    public func contains(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// The value of a key, or nil when the key is absent or has none.
    public subscript(_ key: String) -> YAMLNode? {
        guard let entry = entries.first(where: { $0.key == key }), !entry.value.isNull else { return nil }
        return entry.value
    }

    /// The value of a key that must be there.
    public func required(_ key: String) throws(YAMLError) -> YAMLNode {
        guard let entry = entries.first(where: { $0.key == key }) else {
            throw node.error("\(node.sentenceName) needs the key `\(key)`.")
        }
        guard !entry.value.isNull else { throw error(at: key, "`\(key)` has no value.") }
        return entry.value
    }

    /// An error at a key, or at the mapping when the key is absent.
    public func error(at key: String, _ message: String) -> YAMLError {
        let mark = entries.first { $0.key == key }?.keyMark ?? node.mark
        return YAMLError(file: node.file, mark: mark, message: message)
    }
}

extension YAMLNode {
    /// A mapping with any keys.
    public func mapping() throws(YAMLError) -> YAMLMapping {
        guard case .mapping(let entries) = content else { throw error("\(sentenceName) wants a mapping of keys, but has \(kindName).") }
        return YAMLMapping(entries: entries, node: self)
    }

    /// A mapping with none but these keys; another one is an error at that key, with the name that was probably meant.
    public func mapping(_ keys: [String]) throws(YAMLError) -> YAMLMapping {
        let mapping = try mapping()
        for entry in mapping.entries where !keys.contains(entry.key) {
            let absent = keys.filter { !mapping.contains($0) }
            if let nearest = Nearest.name(to: entry.key, in: absent) {
                throw mapping.error(at: entry.key, "\(sentenceName) does not know the key `\(entry.key)`; did you mean `\(nearest)`?")
            }
            throw mapping.error(at: entry.key, "\(sentenceName) does not know the key `\(entry.key)`; it knows \(Self.list(keys)).")
        }
        return mapping
    }
}
