import Alerting
import Contracts
import JSON
import RedisClient

/// A message on its way to the outboxes: the record as it is delivered, and which of the store's receivers get it.
public struct OutgoingAlert: Sendable {
    public let record: [UInt8]
    public let notice: Notice
    /// Indexes into the receivers of the store.
    public let receivers: [Int]

    public init(record: [UInt8], notice: Notice, receivers: [Int]) {
        self.record = record
        self.notice = notice
        self.receivers = receivers
    }
}

/// The state of all alerts of a use case in Redis, shared by all sinks and by `vyuhactl`.
///
/// Whoever decides loads what is needed, lets the engine decide, and writes back everything in one script: groups, marks, fuse, timers, outboxes
/// and history. The script writes nothing where anything was written by somebody else meanwhile; then the caller loads and decides
/// again. So an anomaly is decided about once and a message is queued once, whoever dies when.
///
/// One thread. Cost: a round trip for loading and one for writing per batch; inside Redis about 5 µs a group.
public final class AlertStore {
    /// Most entries of the history that are kept.
    static let historyLength = 10_000

    public let keys: RedisKeys
    let client: RedisClient
    private let receivers: [String]
    private let outboxLimit: Int
    private let memory: Int
    private let reader: AlertGroupReader
    private var pipeline = RedisPipeline()
    private var json = JSONWriter(capacity: 1 << 10)

    /// - Parameters:
    ///   - receivers: names; each has an outbox.
    ///   - outboxLimit: most messages that may wait in one outbox.
    ///   - memory: milliseconds that a group without anomalies is remembered.
    public init(
        _ client: RedisClient, keys: RedisKeys, receivers: [String] = [], outboxLimit: Int = .max, memory: Int = 7 * 86_400_000
    ) throws(JSONError) {
        self.client = client
        self.keys = keys
        self.receivers = receivers
        self.outboxLimit = outboxLimit
        self.memory = memory
        reader = try AlertGroupReader()
    }

    // MARK: Loading

    /// What must be known to decide about the sightings.
    public func load(for sightings: [Sighting], by engine: AlertEngine) throws(RedisError) -> AlertBook {
        var groups = Set(sightings.map(\.group))
        groups.formUnion(AlertEngine.sharedGroups)
        var inhibitions: Set<String> = []
        if !engine.policy.inhibitions.isEmpty { for sighting in sightings { inhibitions.formUnion(engine.inhibitionKeys(sighting)) } }
        return try load(groups: Array(groups), partitions: Array(Set(sightings.map(\.source.partition))), inhibitions: Array(inhibitions))
    }

    public func load(groups: [String], partitions: [Int32] = [], inhibitions: [String] = []) throws(RedisError) -> AlertBook {
        pipeline.removeAll()
        pipeline.append("HMGET", keys.alertFuse, "v", "s", "a")
        pipeline.append("ZCARD", keys.alertTimers)
        for partition in partitions { pipeline.append("GET", keys.alertSeen(partition: partition)) }
        for inhibition in inhibitions { pipeline.append("GET", keys.alertInhibition(inhibition)) }
        for group in groups { pipeline.append("HMGET", keys.alertState(group: group), "v", "s", "a") }
        let replies = try client.run(pipeline)
        if case .error(let text)? = replies.first(where: { $0.error != nil }) { throw RedisError(reply: text) }
        var book = AlertBook()
        book.fuse = fuse(replies[0])
        book.bursts = Int(replies[1].integer ?? 0)
        var next = 2
        for partition in partitions {
            book.marks[partition] = replies[next].text.flatMap { SeenMark(text: $0) } ?? SeenMark()
            next += 1
        }
        for inhibition in inhibitions {
            book.inhibitions[inhibition] = replies[next].integer ?? 0
            next += 1
        }
        for key in groups {
            if let group = group(key, replies[next]) { book.groups[key] = group }
            next += 1
        }
        return book
    }

    private func group(_ key: String, _ reply: RedisValue) -> AlertGroup? {
        guard let parts = reply.array, parts.count == 3, let state = parts[1].bytes else { return nil }
        // A state that nobody can read is begun anew; its version keeps others from doing so too.
        var group = reader.read(key, state, evidence: parts[2].bytes ?? []) ?? AlertGroup(key: key)
        group.version = parts[0].integer ?? 0
        return group
    }

    private func fuse(_ reply: RedisValue) -> Fuse {
        var fuse = Fuse()
        guard let parts = reply.array, parts.count == 3, let state = parts[1].bytes else { return fuse }
        fuse.version = parts[0].integer ?? 0
        guard let value = try? JSONValue.parse(state) else { return fuse }
        fuse.hour = value["hour"]?.integer ?? 0
        fuse.told = value["told"]?.integer ?? 0
        fuse.held = value["held"]?.integer ?? 0
        if let example = value["example"], let key = value["group"]?.string {
            fuse.example = reader.read(key, example.serialized, evidence: parts[2].bytes ?? [])
        }
        return fuse
    }

    // MARK: Writing

    /// Writes what changed, and queues the messages.
    ///
    /// - Parameter lease: the token under which timers are looked after; nil for everything else.
    /// - Returns: false where somebody else wrote meanwhile, or has the lease: nothing was written.
    /// - Throws: a retryable error where an outbox is full or Redis is away. After a broken connection the write may have happened; to
    ///   load and decide again is right in either case.
    public func commit(_ book: inout AlertBook, _ alerts: [OutgoingAlert], lease: String? = nil) throws(RedisError) -> Bool {
        let groups = book.groups.values.filter(\.isChanged)
        let marks = book.marks.filter(\.value.isChanged)
        let inhibitions = book.changedInhibitions
        if groups.isEmpty, marks.isEmpty, inhibitions.isEmpty, alerts.isEmpty, !book.fuse.isChanged { return true }

        pipeline.removeAll()
        pipeline.begin(
            script: Self.writing, keys: 4 + receivers.count + marks.count + inhibitions.count + groups.count,
            arguments: 12 + 2 * marks.count + inhibitions.count + 4 * groups.count + 7 * alerts.count)
        for key in [keys.alertTimers, keys.alertHistory, keys.alertLease, keys.alertFuse] { pipeline.add(key) }
        for receiver in receivers { pipeline.add(keys.alertOutbox(receiver: receiver)) }
        for partition in marks.keys { pipeline.add(keys.alertSeen(partition: partition)) }
        for inhibition in inhibitions { pipeline.add(keys.alertInhibition(inhibition)) }
        for group in groups { pipeline.add(keys.alertState(group: group.key)) }

        for count in [receivers.count, marks.count, inhibitions.count, groups.count, alerts.count] { pipeline.add(count) }
        pipeline.add(outboxLimit)
        pipeline.add(memory)
        pipeline.add(lease ?? "")
        pipeline.add(book.fuse.isChanged ? "\(book.fuse.version)" : "")
        add(book.fuse)
        for (_, mark) in marks {
            pipeline.add(mark.loaded)
            pipeline.add(mark.text)
        }
        for inhibition in inhibitions { pipeline.add(book.inhibitions[inhibition] ?? 0) }
        for group in groups {
            pipeline.add(group.version)
            json.removeAll()
            group.write(into: &json)
            pipeline.add(json.bytes)
            if group.hasNewEvidence { pipeline.add(group.evidence) } else { pipeline.add("") }
            pipeline.add(group.phase == .quiet ? 0 : group.dueAt)
        }
        for alert in alerts {
            pipeline.add(alert.record)
            pipeline.add(alert.notice.group.evidence)
            pipeline.add(alert.notice.at)
            pipeline.add(Int64(alert.notice.group.source.partition))
            pipeline.add(alert.notice.group.source.offset)
            pipeline.add(alert.notice.group.source.timestamp)
            pipeline.add(alert.receivers.map { String($0 + 1) }.joined(separator: ","))
        }
        let reply = try client.run(pipeline)[0]
        if case .error(let text) = reply { throw RedisError(reply: text) }
        return reply.integer == 1
    }

    /// State, example's evidence, and due time of the fuse.
    private func add(_ fuse: Fuse) {
        json.removeAll()
        json.beginObject()
        json.key("hour")
        json.value(fuse.hour)
        json.key("told")
        json.value(fuse.told)
        json.key("held")
        json.value(fuse.held)
        if let example = fuse.example {
            json.key("group")
            json.value(example.key)
            json.key("example")
            example.write(into: &json)
        }
        json.endObject()
        pipeline.add(json.bytes)
        pipeline.add(fuse.example?.evidence ?? [])
        pipeline.add(fuse.held > 0 ? fuse.end : 0)
    }

    // KEYS: timers, history, lease, fuse; outboxes; marks; inhibitions; groups. ARGV: how many of each of these four and of alerts; limit of an
    // outbox, memory, lease token; write number, state, evidence and due time of the fuse; of each mark the old and the new one; of each
    // inhibition its end; of each group write number, state, evidence, due time; of each alert record, anomaly, time, partition, offset,
    // timestamp and receivers. A group's name in the timers is what follows the prefix of its key.
    private static let writing = RedisScript(
        """
        local R, M, I, G, A = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
        local limit, memory, token = tonumber(ARGV[6]), ARGV[7], ARGV[8]
        local marks, inhibitions, groups = 4 + R, 4 + R + M, 4 + R + M + I
        local aMarks = 12
        local aInhibitions = aMarks + 2 * M
        local aGroups = aInhibitions + I
        local aAlerts = aGroups + 4 * G
        if token ~= '' and redis.call('GET', KEYS[3]) ~= token then return 0 end
        if ARGV[9] ~= '' and (redis.call('HGET', KEYS[4], 'v') or '0') ~= ARGV[9] then return 0 end
        for i = 1, M do
          if (redis.call('GET', KEYS[marks + i]) or '') ~= ARGV[aMarks + 2 * i - 1] then return 0 end
        end
        for i = 1, G do
          if (redis.call('HGET', KEYS[groups + i], 'v') or '0') ~= ARGV[aGroups + 4 * i - 3] then return 0 end
        end
        local wanted = {}
        for i = 1, A do
          for r in string.gmatch(ARGV[aAlerts + 7 * i], '%d+') do wanted[tonumber(r)] = (wanted[tonumber(r)] or 0) + 1 end
        end
        for r, count in pairs(wanted) do
          local waiting = redis.call('XLEN', KEYS[4 + r])
          if waiting > 0 and waiting + count > limit then
            return redis.error_reply('TRYAGAIN The outbox of a receiver holds ' .. waiting .. ' alerts that it has not taken yet.')
          end
        end
        if ARGV[9] ~= '' then
          redis.call('HSET', KEYS[4], 'v', tonumber(ARGV[9]) + 1, 's', ARGV[10], 'a', ARGV[11])
          if ARGV[12] == '0' then redis.call('ZREM', KEYS[1], '') else redis.call('ZADD', KEYS[1], ARGV[12], '') end
        end
        for i = 1, M do redis.call('SET', KEYS[marks + i], ARGV[aMarks + 2 * i], 'PX', memory) end
        for i = 1, I do
          local until_ = ARGV[aInhibitions + i]
          if until_ == '0' then redis.call('DEL', KEYS[inhibitions + i]) else redis.call('SET', KEYS[inhibitions + i], until_, 'PX', memory) end
        end
        local start = 0
        if G > 0 then start = string.find(KEYS[groups + 1], 'alert:state:', 1, true) + 12 end
        for i = 1, G do
          local key, a = KEYS[groups + i], aGroups + 4 * i - 3
          if ARGV[a + 2] == '' then
            redis.call('HSET', key, 'v', tonumber(ARGV[a]) + 1, 's', ARGV[a + 1])
          else
            redis.call('HSET', key, 'v', tonumber(ARGV[a]) + 1, 's', ARGV[a + 1], 'a', ARGV[a + 2])
          end
          redis.call('PEXPIRE', key, memory)
          if ARGV[a + 3] == '0' then
            redis.call('ZREM', KEYS[1], string.sub(key, start))
          else
            redis.call('ZADD', KEYS[1], ARGV[a + 3], string.sub(key, start))
          end
        end
        for i = 1, A do
          local a = aAlerts + 7 * (i - 1)
          for r in string.gmatch(ARGV[a + 7], '%d+') do
            redis.call('XADD', KEYS[4 + tonumber(r)], '*', 'alert', ARGV[a + 1], 'anomaly', ARGV[a + 2], 'admitted_at', ARGV[a + 3],
              'partition', ARGV[a + 4], 'offset', ARGV[a + 5], 'timestamp', ARGV[a + 6])
          end
          redis.call('XADD', KEYS[2], 'MAXLEN', '~', '\(historyLength)', '*', 'at', ARGV[a + 3], 'alert', ARGV[a + 1])
        end
        return 1
        """)
}
