import Glibc
import KafkaClient
import RedisClient
import ServiceKit
import UseCases
import Streaming

extension SettingsReader {
    /// The broker; properties are passed through as for every service.
    mutating func kafka() -> KafkaSettings { CommonSettings.kafka(&self).sayingRetries }

    /// The broker, or nil where none is given.
    mutating func optionalKafka(_ help: String) -> KafkaSettings? { CommonSettings.optionalKafka(&self, help)?.sayingRetries }

    /// The Redis, or nil where none is given.
    mutating func optionalRedis(_ help: String) -> (url: String, settings: RedisSettings)? {
        value("REDIS_URL", default: nil, secret: true, "redis://[user[:password]@]host[:port][/database]. " + help) {
            ($0, try RedisSettings(url: $0))
        }
    }
}

extension KafkaSettings {
    /// Of the client's words, a command says only what it waits for.
    fileprivate var sayingRetries: KafkaSettings {
        var settings = self
        settings.log = { if $0.facility == KafkaLogLine.retry { Service.standardError("vyuhactl: \($0.message)\n") } }
        return settings
    }
}

/// The action of a command that has several, such as `create` of `topics create`.
enum Action {
    /// Takes the action off the arguments; prints what there is and exits where none or an unknown one is given.
    static func take(_ command: String, _ actions: [(name: String, summary: String)], from arguments: inout [String]) -> String {
        let usage =
            "Usage: vyuhactl \(command) ACTION [options]\n\n" + actions.map { "  \($0.name)\n      \($0.summary)" }.joined(separator: "\n")
            + "\n\nvyuhactl \(command) ACTION --help tells more.\n"
        guard let first = arguments.first else { leave(usage, 64) }
        if first == "--help" {
            print(usage)
            leave("", 0)
        }
        guard actions.contains(where: { $0.name == first }) else {
            leave("vyuhactl \(command): there is no action \"\(first)\".\n\n" + usage, 64)
        }
        arguments.removeFirst()
        return first
    }

    private static func leave(_ text: String, _ status: Int32) -> Never {
        Service.standardError(text)
        exit(status)
    }
}
