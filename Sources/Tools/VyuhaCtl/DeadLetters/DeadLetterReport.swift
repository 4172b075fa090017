import Contracts
import Features
import KafkaClient
import Text

/// What people see of dead letters.
enum DeadLetterReport {
    /// The newest ones, newest first.
    static func list(_ scan: DeadLetterScan, _ filter: DeadLetterFilter, limit: Int) throws -> String {
        var newest: [FoundLetter] = []
        var count = 0
        _ = try scan.run { found in
            guard filter.takes(found) else { return }
            count += 1
            newest.append(found)
            // Sorted now and then, so that no more than twice as many are held.
            if newest.count >= 2 * limit { newest = Array(newest.sorted { $0.time > $1.time }.prefix(limit)) }
        }
        guard count > 0 else { return "There is no dead letter like that on \(scan.topic)." }
        var table = TextTable(["letter", "time", "stage", "reason", "field", "entity", "why"], leftColumns: Set(0...6))
        for found in newest.sorted(by: { $0.time > $1.time }).prefix(limit) {
            let letter = found.letter
            table.add([
                found.address, ISO8601.format(found.time), letter.stage?.rawValue ?? "?", letter.reason.rawValue, letter.field,
                String(found.entity.prefix(30)), String(letter.detail.prefix(100)),
            ])
        }
        let shown = min(count, limit)
        return table.text + "\n\(shown == count ? "\(count)" : "\(shown) of \(StatusView.grouped(count))") dead letters."
    }

    static func stats(_ scan: DeadLetterScan, _ filter: DeadLetterFilter) throws -> String {
        struct Kind: Hashable { let stage, reason, field: String }
        struct Count { var number = 0, first = Int64.max, last = Int64.min, sample = "" }
        var counts: [Kind: Count] = [:]
        let others = try scan.run { found in
            guard filter.takes(found) else { return }
            let kind = Kind(stage: found.letter.stage?.rawValue ?? "?", reason: found.letter.reason.rawValue, field: found.letter.field)
            // Fields are named by events: as many kinds as fit a screen.
            let known = counts[kind] != nil || counts.count < 1_000 ? kind : Kind(stage: kind.stage, reason: kind.reason, field: "…")
            var count = counts[known] ?? Count()
            count.number += 1
            count.first = min(count.first, found.time)
            if found.time > count.last { (count.last, count.sample) = (found.time, found.address) }
            counts[known] = count
        }
        guard !counts.isEmpty else { return "There is no dead letter like that on \(scan.topic)." }
        var table = TextTable(["stage", "reason", "field", "letters", "first", "last", "newest"], leftColumns: [0, 1, 2, 4, 5, 6])
        for (kind, count) in counts.sorted(by: { ($1.value.number, $0.key.reason) < ($0.value.number, $1.key.reason) }) {
            table.add([
                kind.stage, kind.reason, kind.field, StatusView.grouped(count.number), ISO8601.format(count.first), ISO8601.format(count.last),
                count.sample,
            ])
        }
        let total = counts.values.reduce(0) { $0 + $1.number }
        return table.text + "\n\(StatusView.grouped(total)) dead letters."
            + (others > 0 ? " \(StatusView.grouped(others)) records of the topic are none." : "")
    }

    /// - Parameter address: `partition:offset`.
    static func show(_ scan: DeadLetterScan, _ address: String) throws -> String {
        var found: FoundLetter?
        _ = try scan.run { if $0.address == address { found = $0 } }
        guard let found else { throw CommandError("\(scan.topic) has no dead letter \(address); `vyuhactl dead-letters list` names them.") }
        let letter = found.letter
        var lines = [StatusView.plainText(letter.detail), ""]
        let origin =
            switch letter.origin {
            case .record(let topic, let partition, let offset, _): "\(topic), partition \(partition), offset \(offset)"
            case .row(let source, let line): source + (line.map { ", line \($0)" } ?? "")
            case .outbox(let receiver, let topic, let partition, let offset, _): "outbox of \(receiver), for \(topic) \(partition):\(offset)"
            }
        for (name, text) in [
            ("refused", ISO8601.format(found.time)), ("by", letter.service), ("reason", letter.reason.rawValue), ("field", letter.field),
            ("from", origin),
            ("id", letter.id), ("key", found.entity),
        ] where !text.isEmpty {
            lines.append("\(StatusView.pad(name, 8)) \(StatusView.plainText(text))")
        }
        lines += ["", "headers"]
        for header in found.headers { lines.append("  \(StatusView.plainText(header.name)): \(StatusView.plainText(header.value))") }
        let size = found.value?.count ?? 0
        lines += ["", "original, \(letter.originalSize.map { "the first \(size) of \($0)" } ?? "\(size)") bytes"]
        let text = String(decoding: found.value ?? [], as: UTF8.self)
        lines.append(StatusView.plainText(text))
        return lines.joined(separator: "\n")
    }
}
