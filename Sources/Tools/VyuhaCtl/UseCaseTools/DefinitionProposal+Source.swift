/// The `source` of a proposal: where its sample came from.
extension DefinitionProposal {
    static func source(_ sample: Sample, _ fields: [Column], _ labels: [ColumnProfile]) -> [String] {
        switch sample.kind {
        case .csv(let delimiter): return file(sample, delimiter, fields, labels)
        case .jsonLines: return truth(labels)
        case .topic:
            return ["", "source:", "  kafka:", "    topic: \(quoted(sample.origin))", "    from: latest    # or earliest: all that the topic holds"]
                + truth(labels)
        case .api(let records, let next):
            var lines = ["", "source:", "  http:", "    url: \(quoted(sample.origin))", "    interval: 60s    # between two questions"]
            if !records.isEmpty { lines.append("    records: \(quoted(records))") }
            if let next { lines.append("    pagination: { next: \(quoted(next)) }") }
            if let id = identity(fields, sample) { lines.append("    id: \(quoted(id.profile.path))    # tells a record that comes again") }
            return lines + truth(labels)
        case .table(let connection): return table(sample, connection, fields) + truth(labels)
        }
    }

    private static func truth(_ labels: [ColumnProfile]) -> [String] {
        let left = labels.map(\.path).map(comment).joined(separator: ", ")
        return labels.isEmpty ? [] : ["", "# Taken for the truth and left out of the event: \(left)."]
    }

    /// A column that tells rows apart: named like an id, and different in each.
    private static func identity(_ fields: [Column], _ sample: Sample) -> Column? {
        fields.first { field in
            let profile = field.profile
            return profile.count == sample.rows && profile.distinct.count == min(sample.rows, ColumnProfile.distinctLimit)
                && !profile.words.isEmpty && (profile.words.last == "id" || profile.words.last == "uuid")
        }
    }

    private static func table(_ sample: Sample, _ connection: String, _ fields: [Column]) -> [String] {
        let grows: Set = ["inserted", "created", "updated", "modified", "changed", "received"]
        let id = identity(fields, sample)
        let times = fields.filter { $0.timeFormat != nil && $0.profile.count == sample.rows }
        let watermark =
            times.first { $0.profile.words.contains(where: grows.contains) } ?? id.flatMap { $0.profile.isInteger ? $0 : nil } ?? times.first
        // Passwords belong into PGPASSWORD.
        let address = connection.split(separator: " ").filter { !$0.hasPrefix("password=") }.joined(separator: " ")
        var lines = ["", "source:", "  postgresql:"]
        lines.append(
            connection.contains("://") && connection.contains("@")
                ? "    # connection: in VYUHA_POSTGRES, since an address may hold a password" : "    connection: \(quoted(address))")
        lines.append("    table: \(quoted(sample.origin))")
        lines.append(
            "    watermark: \(quoted(watermark?.profile.path ?? "?"))    # what only grows in the order in which rows are inserted or changed")
        if let id, id.profile.path != watermark?.profile.path {
            lines.append("    key: \(quoted(id.profile.path))    # tells rows of one watermark apart")
        }
        return lines + renamed(fields)
    }

    private static func renamed(_ fields: [Column]) -> [String] {
        let renamed = fields.filter { $0.name != $0.profile.path }
        return renamed.isEmpty ? [] : ["    columns:"] + renamed.map { "      \($0.name): \(quoted($0.profile.path))" }
    }

    private static func file(_ sample: Sample, _ delimiter: UInt8, _ fields: [Column], _ labels: [ColumnProfile]) -> [String] {
        let file = sample.origin.split(separator: "/").last.map(String.init) ?? sample.origin
        let shown = delimiter == UInt8(ascii: "\t") ? "tab" : quoted(String(UnicodeScalar(delimiter)))
        var lines = ["", "source:", "  csv:", "    file: \(quoted(file))    # beside this file", "    delimiter: \(shown)"]
        lines += renamed(fields)
        let flag = labels.first { $0.distinct.keys.allSatisfy { ["0", "1"].contains($0) } }
        if let flag {
            lines.append("    label: \(quoted(flag.path))    # the truth; it never becomes part of an event")
            if let kind = labels.first(where: { !$0.isNumeric }) { lines.append("    label_kind: \(quoted(kind.path))") }
        }
        let dropped = labels.filter { $0.path != flag?.path && ($0.isNumeric || flag == nil) }
        if !dropped.isEmpty { lines.append("    drop: [\(dropped.map(\.path).map(quoted).joined(separator: ", "))]") }
        return lines + ["  rate: 100", "", "training:", "  csv: { file: \(quoted(file)) }"]
    }
}

extension Sample {
    /// Whether a field may lie below another, and others than those that were seen may come.
    var isJSON: Bool {
        switch kind {
        case .jsonLines, .topic, .api: true
        case .csv, .table: false
        }
    }
}
