import Compression
import Contracts
import RedisClient

/// State of partitions in Redis: one snapshot per partition, stamped with the offset that it covers, written only by the partition's owner.
///
/// Keys, per service and partition: a counter `…:token` whose newest value fences out former owners, and a hash `…:snapshot` with the fields
/// `format`, `offset` (the next record to apply), `parts` (how many there are), `0` (the whole state) and `1`, `2`, … (what changed since,
/// in order), and `a:<offset>` (decisions of the clock, see `journal`).
/// A part is 8 bytes with its expanded size, little-endian, and the state's own bytes in zlib format.
public final class StateStore {
    /// Of the layout above; another one is not read but rebuilt.
    static let format: Int64 = 1

    /// Proof that somebody owns a partition: the newest token of the partition, as long as nobody took it over.
    public struct Token: Sendable, Equatable {
        public let partition: Int32
        let number: Int64
    }

    /// What was stored of a partition.
    public struct Snapshot: Sendable, Equatable {
        /// Offset of the first record that the state does not contain.
        public var offset: Int64
        /// The whole state, then the changes in the order in which they were made.
        public var parts: [[UInt8]]
        /// What the clock decided since the snapshot, in order.
        public var decisions: [Decision]
    }

    /// What wall-clock time decided before the record at `offset` was applied; what the number means is the state's to know.
    public struct Decision: Sendable, Equatable {
        public var offset: Int64
        public var value: Int64
        public init(offset: Int64, value: Int64) {
            self.offset = offset
            self.value = value
        }
    }

    private let client: RedisClient
    private let keys: RedisKeys
    private let service: String

    public init(_ client: RedisClient, keys: RedisKeys, service: String) {
        self.client = client
        self.keys = keys
        self.service = service
    }

    /// Becomes the owner of a partition: from now on no earlier token can write. Then reads what is stored.
    /// - Returns: the token, and the snapshot; nil where there is none, or one that this version cannot read (`problem` says why).
    public func take(_ partition: Int32) throws(RedisError) -> (token: Token, snapshot: Snapshot?, problem: String?) {
        let number = try client.command("INCR", keys.stateToken(service: service, partition: partition)).integer ?? 0
        let token = Token(partition: partition, number: number)
        let stored = try client.command("HGETALL", keys.stateSnapshot(service: service, partition: partition)).fields ?? []
        guard !stored.isEmpty else { return (token, nil, nil) }
        do throws(Damage) {
            return (token, try Self.decode(stored), nil)
        } catch {
            return (token, nil, error.sentence)
        }
    }

    /// Stores state as the partition's owner.
    /// - Parameters:
    ///   - isWhole: the state as a whole; otherwise what changed since the last call.
    ///   - offset: the first record that the state does not contain.
    public func save(_ token: Token, offset: Int64, isWhole: Bool, _ state: [UInt8]) throws(RedisError) -> Answer {
        let part = Self.size(state.count) + Zlib.compress(state)
        return try call(Self.saveScript, token, [Self.format, offset, isWhole ? 1 : 0].map { Array(String($0).utf8) } + [part])
    }

    /// Puts a decision of the clock on record, before anything is published because of it. The next `save` makes it obsolete.
    public func journal(_ token: Token, _ decision: Decision) throws(RedisError) -> Answer {
        try call(Self.journalScript, token, [decision.offset, decision.value].map { Array(String($0).utf8) })
    }

    /// Puts on record with how many partitions of the topic the state is built, unless that is on record already.
    /// - Returns: the number on record.
    public func partitions(of topic: String, now count: Int) throws(RedisError) -> Int {
        let key = keys.stateTopics(service: service)
        _ = try client.command("HSETNX", key, topic, String(count))
        return try client.command("HGET", key, topic).bytes.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? count
    }

    private func call(_ script: RedisScript, _ token: Token, _ arguments: [[UInt8]]) throws(RedisError) -> Answer {
        let names = [keys.stateToken(service: service, partition: token.partition), keys.stateSnapshot(service: service, partition: token.partition)]
        let reply = try client.eval(script, keys: names, arguments: [Array(String(token.number).utf8)] + arguments)
        return reply.integer.flatMap(Answer.init(rawValue:)) ?? .fenced
    }

    /// What became of a write.
    public enum Answer: Int64, Sendable {
        /// Somebody else has taken the partition over; nothing was written.
        case fenced = 0
        case stored = 1
        /// There is no snapshot that changes could be added to (Redis was emptied): the state must be stored as a whole.
        case wantsWhole = 2
    }

    /// A counter below our token means that Redis was emptied: nobody else can own the partition then, and the token is put back.
    #if VYUHA_BROKEN_FENCING
        // Wrong on purpose, so that `make crash-test` can show that it would notice: a former owner writes on.
        private static let fence = ""
    #else
        private static let fence = """
            local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
            if newest > tonumber(ARGV[1]) then return 0 end
            if newest < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end

            """
    #endif

    /// KEYS: token, snapshot. ARGV: token, format, offset, whole?, part.
    private static let saveScript = RedisScript(
        fence + """
            if ARGV[4] == '1' then
                redis.call('DEL', KEYS[2])
                redis.call('HSET', KEYS[2], 'format', ARGV[2], 'offset', ARGV[3], 'parts', 1, '0', ARGV[5])
            else
                local part = redis.call('HGET', KEYS[2], 'parts')
                if not part then return 2 end
                for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
                    if string.sub(field, 1, 2) == 'a:' then redis.call('HDEL', KEYS[2], field) end
                end
                redis.call('HSET', KEYS[2], 'offset', ARGV[3], 'parts', part + 1, part, ARGV[5])
            end
            return 1
            """)

    /// KEYS: token, snapshot. ARGV: token, offset, value. Of two decisions at one offset the later one holds.
    private static let journalScript = RedisScript(
        fence + """
            redis.call('HSET', KEYS[2], 'a:' .. ARGV[2], ARGV[3])
            return 1
            """)

    // MARK: Layout

    private struct Damage: Error {
        let sentence: String
    }

    private static func decode(_ fields: [(name: String, value: [UInt8])]) throws(Damage) -> Snapshot? {
        let named = Dictionary(fields.map { ($0.name, $0.value) }) { $1 }
        func number(_ name: String) -> Int64? { named[name].flatMap { Int64(String(decoding: $0, as: UTF8.self)) } }
        let decisions = fields.filter { $0.name.hasPrefix("a:") }.compactMap { field -> Decision? in
            guard let offset = Int64(field.name.dropFirst(2)), let value = number(field.name) else { return nil }
            return Decision(offset: offset, value: value)
        }
        // A partition without a snapshot may have decisions on record already.
        guard named["format"] != nil else { return Snapshot(offset: -1, parts: [], decisions: decisions.sorted { $0.offset < $1.offset }) }
        guard number("format") == format else {
            throw Damage(sentence: "The stored state has a format of another version; the state is rebuilt from Kafka.")
        }
        guard let offset = number("offset"), let count = number("parts"), count >= 1, count < 1_000_000 else {
            throw Damage(sentence: "The stored state has no offset; it is rebuilt from Kafka.")
        }
        var parts: [[UInt8]] = []
        for index in 0..<count {
            guard let part = named[String(index)], part.count >= 8, let expanded = expand(part) else {
                throw Damage(sentence: "Part \(index) of the stored state is damaged; the state is rebuilt from Kafka.")
            }
            parts.append(expanded)
        }
        return Snapshot(offset: offset, parts: parts, decisions: decisions.sorted { $0.offset < $1.offset })
    }

    /// Most bytes that one part may expand to, so that a damaged size cannot exhaust memory.
    private static let maximumPart = 1 << 30

    private static func size(_ count: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) } }

    private static func expand(_ part: [UInt8]) -> [UInt8]? {
        let count = part.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard count <= maximumPart else { return nil }
        return Zlib.expand(Array(part.dropFirst(8)), count: Int(count))
    }
}
