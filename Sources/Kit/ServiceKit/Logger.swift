import Glibc
import JSON

/// How loud a service is.
public enum LogLevel: Int, Sendable, CaseIterable {
    case debug, info, warning, error

    public var name: String { "\(self)" }
    public init?(name: String) {
        guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }
}

/// Structured log lines on standard error: JSON in containers, readable text on a terminal.
///
/// Messages are constant and carry their data as fields, so that they can be searched. One `write` per line, so that lines of several
/// threads never mix. Not for hot paths.
public struct Logger: Sendable {
    public enum Format: String, Sendable { case json, text }

    public let service: String
    public let level: LogLevel
    public let format: Format

    public init(service: String, level: LogLevel, format: Format) {
        self.service = service
        self.level = level
        self.format = format
    }

    public func debug(_ message: StaticString, _ fields: KeyValuePairs<String, any CustomStringConvertible> = [:]) { log(.debug, message, fields) }
    public func info(_ message: StaticString, _ fields: KeyValuePairs<String, any CustomStringConvertible> = [:]) { log(.info, message, fields) }
    public func warning(_ message: StaticString, _ fields: KeyValuePairs<String, any CustomStringConvertible> = [:]) {
        log(.warning, message, fields)
    }
    public func error(_ message: StaticString, _ fields: KeyValuePairs<String, any CustomStringConvertible> = [:]) { log(.error, message, fields) }

    private func log(_ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<String, any CustomStringConvertible>) {
        guard level.rawValue >= self.level.rawValue else { return }
        let time = Clock.iso8601(milliseconds: Clock.milliseconds)
        var line: [UInt8]
        switch format {
        case .json:
            var writer = JSONWriter(capacity: 256)
            writer.beginObject()
            writer.key("time")
            writer.value(time)
            writer.key("level")
            writer.value(level.name)
            writer.key("service")
            writer.value(service)
            writer.key("message")
            writer.value(message.description)
            for (name, value) in fields {
                writer.key(name)
                switch value {
                case let number as Int: writer.value(number)
                case let number as Int64: writer.value(number)
                case let number as Double: writer.value(number)
                case let flag as Bool: writer.value(flag)
                default: writer.value(value.description)
                }
            }
            writer.endObject()
            line = writer.bytes
        case .text:
            let details = fields.map { "  \($0)=\($1)" }.joined()
            line = Array("\(time.dropFirst(11).dropLast(1)) \(level.name.uppercased()) \(service): \(message)\(details)".utf8)
        }
        line.append(UInt8(ascii: "\n"))
        line.withUnsafeBytes { bytes in _ = write(2, bytes.baseAddress, bytes.count) }
    }
}
