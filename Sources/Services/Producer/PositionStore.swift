import Contracts
import JSON
import RedisClient
import ServiceKit

/// Keeps in Redis how far a source has been delivered, as a small JSON object under `vyuha:<use case>:producer:<source>`.
final class PositionStore {
    private let redis: RedisClient
    private let key: String
    private let source: String

    init(redis: RedisClient, useCase: String, source: String) {
        self.redis = redis
        self.source = source
        key = RedisKeys(useCase: useCase).producerPosition(source: source)
    }

    /// The last position stored, or nil when there is none.
    func load() throws -> SourcePosition? {
        guard let bytes = try redis.command("GET", key).bytes else { return nil }
        guard let position = Self.decode(bytes) else {
            throw SourceError("The Redis key \(key) does not hold a producer's position. Delete it, or start with --from-start.")
        }
        return position
    }

    /// One attempt.
    func store(_ position: SourcePosition) throws(RedisError) {
        _ = try redis.command([Array("SET".utf8), Array(key.utf8), Self.encode(position, source: source)])
    }

    static func encode(_ position: SourcePosition, source: String) -> [UInt8] {
        let json: JSONValue = .object([
            JSONMember("source", .string(source)), JSONMember("events", .integer(position.events)),
            JSONMember("pass", .integer(Int64(position.pass))), JSONMember("line", .integer(Int64(position.line))),
            JSONMember("start", .integer(position.start)), JSONMember("cursor", .string(position.cursor)),
        ])
        return json.serialized
    }

    static func decode(_ bytes: [UInt8]) -> SourcePosition? {
        guard let json = try? JSONValue.parse(bytes), let events = json["events"]?.integer, let pass = json["pass"]?.integer,
            let line = json["line"]?.integer, let start = json["start"]?.integer, events >= 0, pass >= 1, line >= 0
        else { return nil }
        return SourcePosition(events: events, pass: Int(pass), line: Int(line), start: start, cursor: json["cursor"]?.string ?? "")
    }
}
