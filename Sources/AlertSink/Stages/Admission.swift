import Contracts
import RedisClient

/// The stage `admit`: deduplicate, cooldown, and into the outbox, in one script, so that nobody ever sees one without the other.
///
/// State: a hash per group (`RedisKeys.alertState`) with `seen_at` and `seen_offset` (the greatest `produced_at` and event offset seen),
/// `alerted_at`, `alert_id` (the last alert's) and `suppressed` (anomalies held back since it); forgotten after `memory` without anomalies.
/// About 200 bytes a group.
///
/// - Deduplicate: an anomaly whose `produced_at` *and* event offset are at or below what its group has seen was handled before and has no
///   effect at all; so has one with the id of the last alert. Both must be at or below: after a step back of the producer's clock the offset
///   still grows, and in a topic that was made anew the clock does, so neither makes new anomalies look old.
/// - Cooldown: within it (less than `cooldown` from the last alert's `produced_at`, either way) the anomaly is counted as suppressed.
///   `produced_at` is wall-clock time of the producer and part of the record, so a replay decides as the first run did.
/// - Outbox: otherwise one entry in the stream of each receiver, with the anomaly as it came and how many were suppressed before it.
/// - A full outbox is an error that may pass: whoever calls must wait and call again with the same anomalies. Nothing is dropped.
///
/// Cost: one round trip per 64 anomalies; inside Redis about 5 µs for one that is suppressed.
final class Admission {
    /// What became of the anomalies of one call.
    struct Outcome: Equatable {
        var admitted = 0
        var suppressed = 0
        var duplicates = 0
    }

    /// Bounds how long one script keeps Redis from its other clients.
    private static let chunk = 64

    private let client: RedisClient
    private let keys: RedisKeys
    private let outboxes: [String]
    private let fixed: [[UInt8]]

    /// - Parameters:
    ///   - receivers: names; each has an outbox.
    ///   - outboxLimit: most entries in one outbox.
    ///   - cooldown: milliseconds.
    ///   - memory: milliseconds that a group without anomalies is remembered.
    init(_ client: RedisClient, keys: RedisKeys, receivers: [String], outboxLimit: Int, cooldown: Int64, memory: Int) {
        self.client = client
        self.keys = keys
        outboxes = receivers.map { keys.alertOutbox(receiver: $0) }
        fixed = [receivers.count, outboxLimit, Int(cooldown), max(memory, 2 * Int(cooldown))].map { Array("\($0)".utf8) }
    }

    /// Decides about the anomalies in their order; one group's must come in the order of their offsets.
    ///
    /// - Parameters:
    ///   - now: wall clock, milliseconds: the time of the alerts.
    ///   - outcome: counts what was decided, also where the call throws halfway.
    /// - Throws: a retryable error where Redis is away or an outbox is full; then call again with all of them.
    func admit(_ anomalies: [AnomalyDecoder.Decoded], now: Int64, _ outcome: inout Outcome) throws(RedisError) {
        var next = 0
        while next < anomalies.count {
            let chunk = anomalies[next..<min(next + Self.chunk, anomalies.count)]
            var arguments = fixed
            arguments.append(Array("\(now)".utf8))
            for anomaly in chunk {
                arguments.append(Array("\(anomaly.producedAt)".utf8))
                arguments.append(Array("\(anomaly.offset)".utf8))
                arguments.append(Array(anomaly.id.utf8))
                arguments.append(anomaly.json)
                arguments.append(Array("\(anomaly.source.partition)".utf8))
                arguments.append(Array("\(anomaly.source.offset)".utf8))
                arguments.append(Array("\(anomaly.source.timestamp)".utf8))
            }
            let states = chunk.map { keys.alertState(group: $0.group) }
            // One letter for each anomaly that was decided: fewer than were sent where an outbox became full, and the next call says so.
            let decisions = try client.eval(Self.script, keys: outboxes + states, arguments: arguments).bytes ?? []
            for decision in decisions {
                switch decision {
                case UInt8(ascii: "a"): outcome.admitted += 1
                case UInt8(ascii: "s"): outcome.suppressed += 1
                default: outcome.duplicates += 1
                }
            }
            next += decisions.count
        }
    }

    // KEYS: outbox of each receiver, then the state of each anomaly's group. ARGV: number of receivers, outbox limit, cooldown, memory,
    // now, then for each anomaly produced_at, offset, id, JSON, and its source's partition, offset and timestamp. Numbers are stored as the
    // texts they came as, since Lua prints large ones with an exponent.
    private static let script = RedisScript(
        """
        local receivers, limit, cooldown = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local room = limit
        for r = 1, receivers do room = math.min(room, limit - redis.call('XLEN', KEYS[r])) end
        local decisions = {}
        for k = receivers + 1, #KEYS do
          local a = 5 + (k - receivers - 1) * 7
          local at, offset, id = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), ARGV[a + 3]
          local held = redis.call('HMGET', KEYS[k], 'seen_at', 'seen_offset', 'alerted_at', 'alert_id', 'suppressed')
          if held[1] and (id == held[4] or (at <= tonumber(held[1]) and offset <= tonumber(held[2]))) then
            table.insert(decisions, 'd')
          else
            local inside = held[3] and math.abs(at - tonumber(held[3])) < cooldown
            if not inside and room <= 0 then
              if #decisions == 0 then
                return redis.error_reply('TRYAGAIN The outbox of a receiver holds ' .. limit .. ' alerts that it has not taken yet.')
              end
              break
            end
            local seenAt, seenOffset = ARGV[a + 1], ARGV[a + 2]
            if held[1] and tonumber(held[1]) > at then seenAt = held[1] end
            if held[1] and tonumber(held[2]) > offset then seenOffset = held[2] end
            redis.call('HSET', KEYS[k], 'seen_at', seenAt, 'seen_offset', seenOffset)
            if inside then
              redis.call('HINCRBY', KEYS[k], 'suppressed', 1)
              table.insert(decisions, 's')
            else
              for r = 1, receivers do
                redis.call('XADD', KEYS[r], '*', 'anomaly', ARGV[a + 4], 'suppressed', held[5] or '0', 'admitted_at', ARGV[5],
                  'partition', ARGV[a + 5], 'offset', ARGV[a + 6], 'timestamp', ARGV[a + 7])
              end
              redis.call('HSET', KEYS[k], 'alerted_at', ARGV[a + 1], 'alert_id', id, 'suppressed', '0')
              room = room - 1
              table.insert(decisions, 'a')
            end
            redis.call('PEXPIRE', KEYS[k], ARGV[4])
          end
        end
        return table.concat(decisions)
        """)
}
