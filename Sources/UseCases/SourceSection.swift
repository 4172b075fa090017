import Features
import YAMLReader

/// `source`: where `producer` takes the use case's events from.
public struct SourceSection: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case csv(CSVSource)
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
        case csv(CSVSource)
        /// What the section leaves out is as in the source's simulator. The duration is in event time, milliseconds.
        case simulator(SimulatorSource, duration: Int64)
    }

    public let kind: Kind
}

/// Rows of a CSV file as events.
public struct CSVSource: Sendable, Equatable {
    /// As it is written: relative to the definition's folder.
    public var file: String
    public var delimiter: UInt8
    /// The column of a field whose column is not named like it.
    public var columns: [String: String]
    /// The column with the truth, for evaluation only: 0 or 1. It never becomes part of an event.
    public var label: String?
    /// The column with the kind of anomaly.
    public var labelKind: String?
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
        let keys = try node.mapping(["csv", "simulator", "rate"])
        switch (keys["csv"], keys["simulator"]) {
        case (let csv?, nil): kind = .csv(try CSVSource(csv, schema: schema, base: nil))
        case (nil, let simulator?): kind = .simulator(try SimulatorSource(try simulator.mapping(SimulatorSource.keys), base: nil))
        case (.some, .some): throw keys.error(at: "simulator", "`source` has `csv` and `simulator`; keep one.")
        default: throw node.error("`source` needs the key `csv` or `simulator`.")
        }
        rate = try keys["rate"].map { node throws(YAMLError) in try node.double(0.001...10_000_000) }
    }
}

extension TrainingSection {
    init(_ node: YAMLNode, schema: EventSchema, source: SourceSection?) throws(YAMLError) {
        let keys = try node.mapping(["csv", "simulator"])
        switch (keys["csv"], keys["simulator"]) {
        case (let csv?, nil):
            var base: CSVSource?
            if case .csv(let own)? = source?.kind { base = own }
            kind = .csv(try CSVSource(csv, schema: schema, base: base))
        case (nil, let simulator?):
            var base: SimulatorSource?
            if case .simulator(let own)? = source?.kind { base = own }
            let settings = try simulator.mapping(SimulatorSource.keys + ["duration"])
            let duration = try settings.required("duration").milliseconds(1000...(366 * 86_400_000))
            kind = .simulator(try SimulatorSource(settings, base: base), duration: duration)
        case (.some, .some): throw keys.error(at: "simulator", "`training` has `csv` and `simulator`; keep one.")
        default: throw node.error("`training` needs the key `csv` or `simulator`.")
        }
    }
}

extension CSVSource {
    init(_ node: YAMLNode, schema: EventSchema, base: CSVSource?) throws(YAMLError) {
        let keys = try node.mapping(["file", "delimiter", "columns", "label", "label_kind", "ignore", "drop"])
        self = base ?? CSVSource(file: "")
        file = try keys.required("file").nonEmptyString()
        if let node = keys["delimiter"] { delimiter = try Self.delimiter(node) }
        if let node = keys["columns"] {
            columns = [:]
            for entry in try node.mapping(schema.fields.map(\.name)).entries { columns[entry.key] = try entry.value.nonEmptyString() }
        }
        if let node = keys["label"] { label = try node.nonEmptyString() }
        if let node = keys["label_kind"] { labelKind = try node.nonEmptyString() }
        if let node = keys["ignore"] { ignore = try node.nonEmptyString() }
        if let node = keys["drop"] { drop = try node.strings() }
        if label == nil, let entry = keys["label_kind"] { throw entry.error("`label_kind` needs a `label` beside it.") }
        let used = schema.fields.map { columns[$0.name] ?? $0.name }
        for (key, column) in [("label", label), ("label_kind", labelKind), ("ignore", ignore)] {
            guard let column, used.contains(column) else { continue }
            throw (keys[key] ?? node).error(
                "The column `\(column)` of `\(key)` feeds a field of the event too; the truth must stay out of it.")
        }
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
    static let keys = ["name", "entities", "interval", "anomaly_rate", "seed"]

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
        if let node = keys["seed"] { seed = UInt64(try node.integer(0...(.max))) }
    }
}
