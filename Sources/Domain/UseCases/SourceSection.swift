import Features
import Text
import YAMLReader

/// `source`: where `producer` takes the use case's events from.
public struct SourceSection: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case file(FileFormat)
        case http(PolledAPI)
        case postgresql(PolledTable)
        case kafka(ReadTopic)
        case mqtt(SubscribedTopics)
        case push(PushedEvents)
        case simulator(SimulatorSource)
    }

    public let kind: Kind
    /// Events per second of a demonstration; nil where the source sets its own pace.
    public let rate: Double?
}

/// `training`: what a first model is trained on.
public struct TrainingSection: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// What the file's section leaves out (delimiter, columns, label, ...) is as in the source's.
        case file(FileFormat)
        /// What the section leaves out is as in the source's simulator. The duration is in event time, milliseconds.
        case simulator(SimulatorSource, duration: Int64)
    }

    public let kind: Kind
}

/// Rows of files as events.
public struct FileFormat: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// RFC 4180 with a header row.
        case csv
        /// A JSON object a line.
        case jsonLines
        /// Web servers' access lines, common or combined format.
        case accessLog
    }

    public var kind = Kind.csv
    /// A file, or a folder whose files are read in order of their names. As it is written: relative to the definition's folder.
    public var file: String
    /// Goes on with what is appended, and with the file that takes the name after a rotation, like `tail -F`.
    public var follow = false
    /// Of access lines: the host that they are of; nil where each begins with its host.
    public var host: String?
    /// Of access lines: a CSV file that says which of them are anomalous.
    public var labels: String?
    public var delimiter: UInt8
    /// How the text is encoded.
    public var encoding = TextEncoding.utf8
    /// The column of a field whose column is not named like it.
    public var columns: [String: String]
    /// Of fields whose columns are given as a list, the names after the first: the first name that a file has counts, and a file may have none.
    public var otherNames: [String: [String]] = [:]
    /// The column with the truth, for evaluation only: 0 or 1. It never becomes part of an event.
    public var label: String?
    /// The column with the kind of anomaly.
    public var labelKind: String?
    /// The columns with start and end, in ISO 8601, of the episode that an anomalous row is part of.
    public var labelStart: String?
    public var labelEnd: String?
    /// The column that marks rows that must not be judged.
    public var ignore: String?
    /// Columns that are about a record and not part of it.
    public var drop: [String]

    public init(
        file: String, delimiter: UInt8 = UInt8(ascii: ","), columns: [String: String] = [:], label: String? = nil,
        labelKind: String? = nil, ignore: String? = nil, drop: [String] = []
    ) {
        self.file = file
        self.delimiter = delimiter
        self.columns = columns
        self.label = label
        self.labelKind = labelKind
        self.ignore = ignore
        self.drop = drop
    }
}

/// A seeded simulation.
public struct SimulatorSource: Sendable, Equatable {
    public var name: String
    public var entities: Int
    /// Event time between two events of one entity, milliseconds.
    public var interval: Int64
    /// The share of events that are anomalous.
    public var anomalyRate: Double
    public var seed: UInt64
    /// Which anomalies occur; empty: all that the simulator knows.
    public var kinds: [String] = []
    /// The share of events that come late, and how late at most, milliseconds.
    public var late = 0.0
    public var lateness: Int64 = 5_000
    /// The share of events that never come.
    public var missing = 0.0

    public init(name: String, entities: Int = 100, interval: Int64 = 1000, anomalyRate: Double = 0.05, seed: UInt64 = 7) {
        self.name = name
        self.entities = entities
        self.interval = interval
        self.anomalyRate = anomalyRate
        self.seed = seed
    }
}

extension SourceSection {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["csv", "jsonl", "access_log", "kafka", "mqtt", "http", "postgresql", "push", "simulator", "rate"])
        let given = try Self.single(of: keys, in: node, named: "source", but: "rate")
        switch given.key {
        case "http": kind = .http(try PolledAPI(given.value, schema: schema))
        case "postgresql": kind = .postgresql(try PolledTable(given.value, schema: schema))
        case "kafka": kind = .kafka(try ReadTopic(given.value, schema: schema))
        case "mqtt": kind = .mqtt(try SubscribedTopics(given.value, schema: schema))
        case "push": kind = .push(try PushedEvents(given.value, schema: schema))
        case "simulator": kind = .simulator(try SimulatorSource(try given.value.mapping(SimulatorSource.keys), base: nil))
        default: kind = .file(try FileFormat(given.key, given.value, schema: schema, base: nil))
        }
        rate = try keys["rate"].map { node throws(YAMLError) in try node.double(0.001...10_000_000) }
    }

    /// The one key that says where events come from.
    static func single(of keys: YAMLMapping, in node: YAMLNode, named name: String, but other: String? = nil) throws(YAMLError) -> (
        key: String, value: YAMLNode
    ) {
        let given = keys.entries.filter { $0.key != other }
        guard let first = given.first else {
            throw node.error("`\(name)` says where events come from: it needs one of its keys, such as `csv` or `simulator`.")
        }
        guard given.count == 1 else { throw keys.error(at: given[1].key, "`\(name)` has `\(first.key)` and `\(given[1].key)`; keep one.") }
        return (first.key, first.value)
    }
}

extension TrainingSection {
    init(_ node: YAMLNode, schema: EventSchema, source: SourceSection?) throws(YAMLError) {
        let given = try SourceSection.single(of: try node.mapping(["csv", "jsonl", "access_log", "simulator"]), in: node, named: "training")
        guard given.key == "simulator" else {
            var base: FileFormat?
            if case .file(let own)? = source?.kind { base = own }
            kind = .file(try FileFormat(given.key, given.value, schema: schema, base: base))
            return
        }
        var base: SimulatorSource?
        if case .simulator(let own)? = source?.kind { base = own }
        let settings = try given.value.mapping(SimulatorSource.keys + ["duration"])
        let duration = try settings.required("duration").milliseconds(1000...(366 * 86_400_000))
        kind = .simulator(try SimulatorSource(settings, base: base), duration: duration)
    }
}

extension FileFormat {
    /// - Parameter key: `csv`, `jsonl` or `access_log`.
    init(_ key: String, _ node: YAMLNode, schema: EventSchema, base: FileFormat?) throws(YAMLError) {
        let kind: Kind = key == "jsonl" ? .jsonLines : key == "access_log" ? .accessLog : .csv
        let own: [String] =
            switch kind {
            case .csv: ["delimiter", "columns", "label", "label_kind", "label_start", "label_end", "ignore", "drop"]
            case .jsonLines: ["columns", "label", "label_kind", "label_start", "label_end", "ignore"]
            case .accessLog: ["columns", "host", "labels"]
            }
        let keys = try node.mapping(["file", "follow", "encoding"] + own)
        self = base?.kind == kind ? base ?? FileFormat(file: "") : FileFormat(file: "")
        self.kind = kind
        file = try keys.required("file").nonEmptyString()
        follow = try keys["follow"].map { node throws(YAMLError) in try node.bool() } ?? false
        if let node = keys["delimiter"] { delimiter = try Self.delimiter(node) }
        if let node = keys["encoding"] {
            let name = try node.nonEmptyString()
            guard let known = TextEncoding(named: name) else {
                throw node.error(
                    "`encoding` is `\(name.prefix(40))`; known are \(TextEncoding.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")).")
            }
            encoding = known
        }
        if let node = keys["columns"] {
            (columns, otherNames) = kind == .csv ? try Self.columnNames(node, schema) : (try Self.columns(node, schema), [:])
        }
        if let node = keys["label"] { label = try node.nonEmptyString() }
        if let node = keys["label_kind"] { labelKind = try node.nonEmptyString() }
        if let node = keys["label_start"] { labelStart = try node.nonEmptyString() }
        if let node = keys["label_end"] { labelEnd = try node.nonEmptyString() }
        if let node = keys["ignore"] { ignore = try node.nonEmptyString() }
        if let node = keys["drop"] { drop = try node.strings() }
        if let node = keys["host"] { host = try node.nonEmptyString() }
        if kind == .accessLog {
            labels = try keys["labels"].map { node throws(YAMLError) in try node.nonEmptyString() }
            (label, labelKind, labelStart, labelEnd) = labels == nil ? (nil, nil, nil, nil) : ("label", "label_kind", "label_start", "label_end")
        }
        if label == nil, let entry = keys["label_kind"] { throw entry.error("`label_kind` needs a `label` beside it.") }
        let used = schema.fields.flatMap { [columns[$0.name] ?? $0.name] + (otherNames[$0.name] ?? []) }
        let truth = [
            ("label", label), ("label_kind", labelKind), ("label_start", labelStart), ("label_end", labelEnd), ("ignore", ignore),
        ]
        for (key, column) in truth {
            guard let column, used.contains(column) else { continue }
            throw (keys[key] ?? node).error(
                "The column `\(column)` of `\(key)` feeds a field of the event too; the truth must stay out of it.")
        }
    }

    /// Which column, or path in a JSON object, feeds which field.
    static func columns(_ node: YAMLNode, _ schema: EventSchema) throws(YAMLError) -> [String: String] {
        var result: [String: String] = [:]
        for entry in try node.mapping(schema.fields.map(\.name)).entries { result[entry.key] = try entry.value.nonEmptyString() }
        return result
    }

    /// For each field a name, or a list of names.
    private static func columnNames(
        _ node: YAMLNode, _ schema: EventSchema
    ) throws(YAMLError) -> (first: [String: String], others: [String: [String]]) {
        var (first, others): ([String: String], [String: [String]]) = ([:], [:])
        for entry in try node.mapping(schema.fields.map(\.name)).entries {
            guard let names = try? entry.value.strings() else {
                first[entry.key] = try entry.value.nonEmptyString()
                continue
            }
            guard let name = names.first, !names.contains("") else {
                throw entry.value.error("`\(entry.key)` wants the names of columns.")
            }
            first[entry.key] = name
            others[entry.key] = Array(names.dropFirst())
        }
        return (first, others)
    }

    /// Which column feeds which field of a file with this header: as the definition maps them, but for fields that have a column of their own name
    /// where the mapped one is missing, as in a file that `producer --to` wrote. A field with several names is left out where a file has none.
    public func columns(in header: [String]) -> [String: String] {
        var result: [String: String] = [:]
        for (field, column) in columns {
            let known = ([column] + (otherNames[field] ?? [])).first(where: header.contains)
            if let known, known != field {
                result[field] = known
            } else if known == nil, otherNames[field] == nil, !header.contains(field) {
                result[field] = column
            }
        }
        return result
    }

    private static func delimiter(_ node: YAMLNode) throws(YAMLError) -> UInt8 {
        let text = try node.string()
        if text == "tab" || text == "\t" { return UInt8(ascii: "\t") }
        guard text.utf8.count == 1, let byte = text.utf8.first, byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\""),
            !Letters.isDigit(byte), !Letters.isLower(byte | 0x20)
        else { throw node.error("`delimiter` wants one sign such as \",\", \";\" or \"|\", or tab, but has `\(text.prefix(20))`.") }
        return byte
    }
}

extension SimulatorSource {
    static let keys = ["name", "entities", "interval", "anomaly_rate", "seed", "kinds", "late", "lateness", "missing"]

    init(_ keys: YAMLMapping, base: SimulatorSource?) throws(YAMLError) {
        if let base, keys["name"] == nil {
            self = base
        } else {
            let name = try keys.required("name").nonEmptyString()
            self = base?.name == name ? base ?? SimulatorSource(name: name) : SimulatorSource(name: name)
        }
        if let node = keys["entities"] { entities = try node.int(1...1_000_000) }
        if let node = keys["interval"] { interval = try node.milliseconds(10...3_600_000) }
        if let node = keys["anomaly_rate"] { anomalyRate = try node.double(0...0.5) }
        if let node = keys["kinds"] { kinds = try node.strings() }
        if let node = keys["late"] { late = try node.double(0...0.5) }
        if let node = keys["lateness"] { lateness = try node.milliseconds(1...3_600_000) }
        if let node = keys["missing"] { missing = try node.double(0...0.5) }
        if let node = keys["seed"] { seed = UInt64(try node.integer(0...(.max))) }
    }
}
