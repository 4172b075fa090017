/// A plain value as it is written.
public struct YAMLScalar: Sendable, Equatable {
    public enum Style: Sendable { case plain, singleQuoted, doubleQuoted, literal, folded }

    /// Unescaped and unfolded.
    public let text: String
    public let style: Style
}

/// A key with its value.
public struct YAMLEntry: Sendable {
    public let key: String
    public let keyMark: YAMLMark
    public let value: YAMLNode
}

/// A value in a YAML file, with its place there. Small files of the control plane only.
public struct YAMLNode: Sendable {
    public enum Content: Sendable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In the order of the file; no key occurs twice.
        case mapping([YAMLEntry])
    }

    public let content: Content
    public let mark: YAMLMark
    /// From the document's root: `event.fields.distance.min`, `columns[2]`; empty for the root.
    public let path: String
    let source: YAMLSource

    public var file: String { source.file }

    /// Empty, `~` or `null`, not in quotes.
    public var isNull: Bool {
        guard case .scalar(let scalar) = content, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.text)
    }

    public var isScalar: Bool {
        guard case .scalar = content else { return false }
        return true
    }

    public var isSequence: Bool {
        guard case .sequence = content else { return false }
        return true
    }

    public var isMapping: Bool {
        guard case .mapping = content else { return false }
        return true
    }

    /// What this is, for messages: "a mapping", "a list", "`abc`", "nothing".
    public var kindName: String {
        switch content {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .scalar(let scalar): isNull ? "nothing" : "`\(scalar.text.prefix(60))`"
        }
    }

    /// What this is called in messages: the last part of its path.
    var name: String {
        guard !path.isEmpty else { return "the file" }
        return "`\(path.split(separator: ".").last.map(String.init) ?? path)`"
    }

    /// An error at the start of this value.
    public func error(_ message: String) -> YAMLError { YAMLError(file: file, mark: mark, message: message) }

    /// An error inside a text: points at the character that is `utf8Offset` bytes into the value, also where it spans lines.
    /// Where that place cannot be told (escapes in quotes), at the start of the value.
    public func error(_ message: String, utf8Offset: Int) -> YAMLError {
        guard case .scalar(let scalar) = content else { return error(message) }
        let utf8 = Array(scalar.text.utf8.prefix(max(0, utf8Offset)))
        let offset = String(decoding: utf8, as: UTF8.self).unicodeScalars.count
        let place = source.place(offset, in: Array(scalar.text.unicodeScalars), style: scalar.style, from: mark)
        return YAMLError(file: file, mark: place, message: message)
    }
}
