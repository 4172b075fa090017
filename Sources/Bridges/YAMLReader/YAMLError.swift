/// A place in a file, counted from 1. A column is a Unicode scalar, as editors count them.
public struct YAMLMark: Sendable, Hashable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// The file as a whole.
    public static let none = YAMLMark(line: 0, column: 0)
}

/// What is wrong with a file: `file:line:column: sentence`, which editors and terminals turn into a link.
public struct YAMLError: Error, Sendable, Equatable, CustomStringConvertible {
    public let file: String
    /// `.none` when the file as a whole is meant.
    public let mark: YAMLMark
    public let message: String

    public init(file: String, mark: YAMLMark, message: String) {
        self.file = file
        self.mark = mark
        self.message = message
    }

    public var description: String {
        mark == .none ? "\(file): \(message)" : "\(file):\(mark.line):\(mark.column): \(message)"
    }
}
