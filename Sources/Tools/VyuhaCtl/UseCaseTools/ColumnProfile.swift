import Features
import Text

/// What a sample shows of one column of a CSV file, or of one path in JSON objects.
struct ColumnProfile {
    /// The column's name, or the path with dots.
    let path: String
    /// Values that are there.
    private(set) var count = 0
    /// JSON texts: `"12"` is no number there. In a CSV file nothing is known to be a text.
    private(set) var texts = 0
    private(set) var numbers = 0
    private(set) var integers = 0
    private(set) var booleans = 0
    private(set) var minimum = Double.infinity
    private(set) var maximum = -Double.infinity
    /// Different values and how often each occurs; no more than `distinctLimit` are told apart.
    private(set) var distinct: [String: Int] = [:]
    /// The first values, to try formats of times on.
    private(set) var examples: [String] = []

    static let distinctLimit = 10_000
    private static let exampleLimit = 200

    init(_ path: String) { self.path = path }

    mutating func add(_ text: String, isText: Bool) {
        count += 1
        if distinct[text] != nil || distinct.count < Self.distinctLimit { distinct[text, default: 0] += 1 }
        if examples.count < Self.exampleLimit { examples.append(text) }
        if isText { texts += 1 }
        if text == "true" || text == "false" { booleans += 1 }
        let bytes = Array(text.utf8)
        guard !isText, let number = TextNumber.parse(bytes, 0..<bytes.count) else { return }
        numbers += 1
        minimum = min(minimum, number)
        maximum = max(maximum, number)
        if number == number.rounded(), abs(number) <= 9_007_199_254_740_992, !bytes.contains(UInt8(ascii: ".")) { integers += 1 }
    }

    var isNumeric: Bool { count > 0 && numbers == count }
    var isInteger: Bool { count > 0 && integers == count }
    var isBoolean: Bool { count > 0 && booleans == count && texts == 0 }
    var isConstant: Bool { distinct.count == 1 }

    /// The words of the name in lower case: `pickupTime_utc` has pickup, time and utc.
    var words: [String] {
        var words: [String] = []
        var word = ""
        var wasLower = false
        for character in path {
            let isWordPart = character.isLetter || character.isNumber
            if !isWordPart || (character.isUppercase && wasLower) {
                if !word.isEmpty { words.append(word) }
                word = ""
            }
            if isWordPart { word += character.lowercased() }
            wasLower = character.isLowercase || character.isNumber
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    // MARK: Times

    /// Formats of times that values are tried on, as they are written in a definition.
    private static let patterns = [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%b/%Y:%H:%M:%S %z",
        "%Y%m%d%H%M%S", "%Y-%m-%d",
    ]

    private static let timeWords: Set = [
        "time", "timestamp", "ts", "date", "datetime", "at", "when", "epoch", "created", "occurred", "clock",
    ]

    /// Whether the name speaks of a time.
    var isNamedLikeTime: Bool { words.contains { Self.timeWords.contains($0) || $0.hasSuffix("time") } }

    /// The format in which every example is a time, as the value of `format`; nil where there is none.
    var timeFormat: String? {
        guard count > 0 else { return nil }
        if isNumeric {
            // From 2001 to 2100; a number alone is no time unless its name says so.
            guard isNamedLikeTime else { return nil }
            if minimum >= 1e9, maximum < 4.2e9 { return "epoch-seconds" }
            if minimum >= 1e12, maximum < 4.2e12, isInteger { return "epoch-milliseconds" }
            if !distinct.keys.allSatisfy({ $0.utf8.count == 14 }) { return nil }
        }
        if fits(.iso8601) { return "iso8601" }
        for text in Self.patterns {
            guard let pattern = try? TimestampPattern(text), fits(.pattern(pattern, zone: .utc)) else { continue }
            return text.hasSuffix("%z") ? "{ pattern: \"\(text)\" }" : "{ pattern: \"\(text)\", zone: UTC }"
        }
        return nil
    }

    /// Judged by the decoder that will read the events.
    private func fits(_ format: TimestampFormat) -> Bool {
        let fields = [EventField("e", .string), EventField("t", .timestamp, format: format)]
        guard let schema = try? EventSchema(fields: fields, entity: "e", time: "t"),
            let binding = try? ColumnBinding(schema: schema, header: ["e", "t"])
        else { return false }
        let decoder = EventDecoder(schema: schema)
        return examples.allSatisfy { text in
            let bytes = Array(("e" + text).utf8)
            return decoder.decode(columns: bytes, [0..<1, 1..<bytes.count], binding)
        }
    }
}
