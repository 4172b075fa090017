import Features
import UseCases

/// A definition for the events of a sample: a beginning, with comments that say what was seen and what to look at.
struct DefinitionProposal {
    let text: String

    /// Texts with at most so many different values become an enumeration, where each was seen ten times on average.
    private static let enumerationLimit = 12
    private static let labelWords: Set = ["label", "labels", "anomaly", "anomalous", "outlier", "fraud", "attack", "truth", "target"]
    private static let entityWords: Set = [
        "id", "host", "hostname", "sensor", "device", "user", "account", "zone", "machine", "node", "server", "station", "entity", "key",
        "name", "vehicle", "customer", "card",
    ]

    struct Column {
        let profile: ColumnProfile
        let name: String
        let timeFormat: String?
    }

    /// - Throws: `CommandError` when the sample has nothing to work with.
    init(_ sample: Sample, name: String) throws {
        let (fields, labels) = Self.columns(sample)
        guard let time = Self.time(fields) else {
            throw CommandError(
                "\(sample.origin) has no column that is a time in every row; the suite needs one (ISO 8601, or named like a time and epoch seconds "
                    + "or milliseconds). Columns: \(sample.columns.map(\.path).joined(separator: ", ")).")
        }
        guard let entity = Self.entity(fields, time: time.name, rows: sample.rows) else {
            throw CommandError(
                "\(sample.origin) has no column that could say whose event a row is; add one, such as the host's name, the same in every row "
                    + "if there is only one.")
        }
        var lines = [
            "# Proposed from \(sample.rows) rows of \(Self.comment(sample.origin)). Bounds are what was seen, widened; look at every line.",
            "name: \(name)", "title: \(name)", "partitions: 32", "", "event:",
            "  entity: \(entity.name)\(Self.others(fields, of: entity.name, time: time.name, rows: sample.rows))",
            "  time: \(time.name)",
            "  unknown_fields: \(sample.isJSON ? "ignore" : "reject")", "  fields:",
        ]
        let width = fields.map(\.name.count).max() ?? 0
        for field in fields { lines.append(Self.line(field, width, sample, isEntity: field.name == entity.name)) }
        lines += Self.features(fields, entity: entity.name, time: time.name)
        lines += Self.source(sample, fields, labels)
        lines += [
            "", "detector: { name: isolation-forest, trees: 100, sample_size: 256, seed: 7 }",
            "# The share of records that become an anomaly.", "threshold: { contamination: 0.01 }",
        ]
        text = lines.joined(separator: "\n") + "\n"
    }

    // MARK: What a column is for

    private static func columns(_ sample: Sample) -> (fields: [Column], labels: [ColumnProfile]) {
        var fields: [Column] = []
        var labels: [ColumnProfile] = []
        var taken: Set<String> = []
        for profile in sample.columns where profile.count > 0 {
            let isFlag = profile.distinct.keys.allSatisfy { ["0", "1", "true", "false"].contains($0) }
            if profile.words.contains(where: labelWords.contains), isFlag || profile.words.contains("type") || profile.words.contains("kind") {
                labels.append(profile)
                continue
            }
            fields.append(Column(profile: profile, name: fieldName(profile.path, &taken), timeFormat: profile.timeFormat))
        }
        return (fields, labels)
    }

    /// A name that expressions can use: letters, digits and `_`; for a path its last part, where that is free.
    private static func fieldName(_ path: String, _ taken: inout Set<String>) -> String {
        let last = path.split(separator: ".").last.map(String.init) ?? path
        for candidate in [last, path] {
            var name = String(candidate.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }.prefix(90))
            if name.first?.isNumber ?? true { name = "_" + name }
            let reserved: Set = ["and", "or", "not", "true", "false", "missing", "pi", "window_start", "window_end", "per", "window"]
            if reserved.contains(name) { name += "_value" }
            if taken.insert(name).inserted { return name }
        }
        var number = 2
        let stem = "field_"
        while !taken.insert(stem + String(number)).inserted { number += 1 }
        return stem + String(number)
    }

    /// The time column: one that is in every row, best by name.
    private static func time(_ fields: [Column]) -> Column? {
        let rows = fields.map(\.profile.count).max() ?? 0
        let candidates = fields.filter { $0.timeFormat != nil && $0.profile.count == rows }
        return candidates.first { $0.profile.words.contains("timestamp") } ?? candidates.first(where: \.profile.isNamedLikeTime)
            ?? candidates.first
    }

    /// Columns that could key the records, the most likely first.
    private static func entities(_ fields: [Column], time: String, rows: Int) -> [Column] {
        func rank(_ column: Column) -> Int {
            let profile = column.profile
            let repeats = profile.distinct.count * 2 <= rows
            let isNamed = profile.words.contains(where: entityWords.contains)
            return (profile.isConstant ? 8 : 0) + (repeats ? 0 : 4) + (isNamed ? 0 : 2) + (profile.isInteger ? 1 : 0)
        }
        return fields.filter { column in
            let profile = column.profile
            guard column.name != time, column.timeFormat == nil, profile.count == rows, !profile.isBoolean else { return false }
            // A number with a fraction is a measurement, and so is a whole one unless its name says otherwise.
            return profile.isNumeric ? profile.isInteger && profile.words.contains(where: entityWords.contains) : true
        }.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }.map(\.element)
    }

    private static func entity(_ fields: [Column], time: String, rows: Int) -> Column? { entities(fields, time: time, rows: rows).first }

    private static func others(_ fields: [Column], of entity: String, time: String, rows: Int) -> String {
        let others = entities(fields, time: time, rows: rows).map(\.name).filter { $0 != entity }.prefix(4)
        return others.isEmpty ? "" : "    # or \(others.joined(separator: ", "))"
    }

    // MARK: Lines

    private static func line(_ column: Column, _ width: Int, _ sample: Sample, isEntity: Bool) -> String {
        let profile = column.profile
        var parts: [String] = []
        var seen = ""
        let isJSON = sample.isJSON
        if let format = column.timeFormat {
            parts = ["type: timestamp", "format: \(format)"]
        } else if profile.isNumeric {
            parts = ["type: \(profile.isInteger ? "integer" : "number")"]
            if !isEntity {
                let (low, high) = bounds(profile.minimum, profile.maximum)
                parts += ["min: \(plain(low))", "max: \(plain(high))"]
                seen = "\(plain(profile.minimum)) to \(plain(profile.maximum))"
            } else {
                seen = count(of: profile)
            }
        } else if profile.isBoolean {
            parts = ["type: boolean"]
        } else {
            parts = ["type: string"]
            let isEnumeration = profile.distinct.count <= enumerationLimit && profile.count >= 10 * profile.distinct.count && !isEntity
            if isEnumeration {
                parts.append("values: [\(profile.distinct.keys.sorted().map(quoted).joined(separator: ", "))]")
            } else {
                seen = "\(count(of: profile)), such as \(comment(profile.examples.first ?? ""))"
            }
        }
        if isJSON, profile.path != column.name { parts.append("path: \(quoted(profile.path))") }
        if profile.count < sample.rows { parts.append("required: false") }
        let padding = String(repeating: " ", count: width - column.name.count)
        return "    \(column.name):\(padding) { \(parts.joined(separator: ", ")) }" + (seen.isEmpty ? "" : "    # \(seen)")
    }

    private static func features(_ fields: [Column], entity: String, time: String) -> [String] {
        let advice = "    # One number each. Add what an expert would look at: ratios, differences, hour_sin(\(time)), ..."
        var lines = ["", "features:", "  event:", advice]
        // A whole number that is named like a key is a code: its size says nothing.
        let measured = fields.filter { column in
            let profile = column.profile
            let isCode = profile.isInteger && profile.words.contains(where: entityWords.contains)
            return profile.isNumeric && column.timeFormat == nil && column.name != entity && !profile.isConstant && !isCode
        }
        for field in measured { lines.append("    \(field.name): \(field.name)") }
        if measured.isEmpty {
            lines.append("    time_of_day_sin: hour_sin(\(time))")
            lines.append("    time_of_day_cos: hour_cos(\(time))")
        } else if let first = measured.first {
            lines += [
                "  # Windows of an entity's events are a set of their own:", "  # minute:", "  #   window: { length: 60s, slide: 10s }",
                "  #   count: count()", "  #   \(first.name)_mean: mean(\(first.name))",
            ]
        }
        return lines
    }

    // MARK: Texts

    /// What was seen, a tenth wider on each side and rounded outwards to two digits; not below 0 where nothing was.
    static func bounds(_ low: Double, _ high: Double) -> (low: Double, high: Double) {
        let span = max(high - low, abs(high) * 0.1, 1)
        var step = 1.0
        while step * 10 <= span { step *= 10 }
        while step > span { step /= 10 }
        let wider = span * 0.1
        let lower = ((low - wider) / step).rounded(.down) * step
        let upper = ((high + wider) / step).rounded(.up) * step
        return (low >= 0 ? max(0, lower) : lower, high <= 0 ? min(0, upper) : upper)
    }

    private static func count(of profile: ColumnProfile) -> String {
        let count = profile.distinct.count
        return "\(count >= ColumnProfile.distinctLimit ? "at least " : "")\(count) \(count == 1 ? "value" : "values")"
    }

    private static func plain(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    /// A YAML text in double quotes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            default:
                let isPlain = scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar.value <= 0xFFFF
                let code = String(scalar.value, radix: 16)
                result += isPlain ? String(scalar) : "\\U" + String(repeating: "0", count: 8 - code.count) + code
            }
        }
        return result + "\""
    }

    /// A text that stays inside its comment.
    static func comment(_ text: String) -> String { String(text.prefix(60).map { $0.isNewline || $0 == "\u{0}" ? " " : $0 }) }
}
