import Features
import Text
import YAMLReader

extension UseCase {
    /// Loads the definition of a name or a path.
    ///
    /// A path is taken as it is: a file, or a folder with a `usecase.yaml`. A name is looked for in the folder that
    /// `VYUHA_USECASES` names, then in `services/usecases` of the working directory and of the source tree that the
    /// executable was built in.
    /// - Parameter environment: the process's own when nil.
    public static func load(_ nameOrPath: String, environment: [String: String]? = nil) throws(UseCaseError) -> UseCase {
        let file = try Places(environment: environment).find(nameOrPath)
        do {
            return try make(try YAMLNode.bytes(of: file), file: file, folder: Files.absoluteFolder(of: file))
        } catch {
            throw UseCaseError(error)
        }
    }

    /// Reads a definition from a text. Files that it names are relative to the folder of `file`.
    public static func parse(_ text: String, file: String) throws(UseCaseError) -> UseCase {
        do {
            return try make(Array(text.utf8), file: file, folder: Files.folder(of: file))
        } catch {
            throw UseCaseError(error)
        }
    }

    /// The names of the definitions that can be found, in alphabetical order.
    public static func names(environment: [String: String]? = nil) -> [String] { Places(environment: environment).names() }

    private static let keys = [
        "name", "title", "description", "partitions", "event", "time", "silence", "features", "source", "training", "detector", "detectors",
        "policies", "threshold", "types", "reply", "status", "alerts", "baseline", "metrics",
    ]

    private static func make(_ bytes: [UInt8], file: String, folder: String) throws(YAMLError) -> UseCase {
        let root = try YAMLNode.parse(bytes, file: file).mapping(keys)
        let name = try UseCase.name(try root.required("name"))
        let event = try EventSection(try root.required("event"))
        let features = try FeaturesSection(try root.required("features"), schema: event.schema, time: root["time"], silence: root["silence"])
        let source = try root["source"].map { node throws(YAMLError) in try SourceSection(node, schema: event.schema) }
        let training = try root["training"].map { node throws(YAMLError) in
            try TrainingSection(node, schema: event.schema, source: source)
        }
        let detectors = try DetectorsSection(root, sets: features.plan.sets)
        guard let detector = detectors.general ?? features.plan.sets.first.flatMap({ detectors.own[$0.name] }) else {
            throw root.node.error("`detector` is missing: say what judges the features.")
        }
        return UseCase(
            name: name,
            title: try root["title"].map { node throws(YAMLError) in try node.nonEmptyString() } ?? name,
            summary: try root["description"].map { node throws(YAMLError) in try node.string() } ?? "",
            partitions: try root["partitions"].map { node throws(YAMLError) in try node.int(1...1024) } ?? 32,
            event: event, plan: features.plan, retention: features.retention, features: features.sets, source: source, training: training,
            detectors: detectors, detector: detector,
            threshold: try ThresholdSection(root["threshold"]),
            types: try root["types"].map { node throws(YAMLError) in try TypesSection(node, sets: features.plan.sets).types } ?? [],
            reply: try ReplySection(root["reply"], schema: event.schema, sets: features.plan.sets),
            status: try StatusTexts(root["status"]),
            alerts: try AlertsSection(root["alerts"], sets: features.plan.sets),
            baseline: try root["baseline"].map { node throws(YAMLError) in try BaselineSection(node, schema: event.schema) },
            metricPrefix: try metricPrefix(root["metrics"], name: name),
            file: file, folder: folder, fingerprint: FNV1a.hash(bytes))
    }

    /// Safe in Kafka topics, Redis keys, host names and file names alike.
    private static func name(_ node: YAMLNode) throws(YAMLError) -> String {
        let text = try node.string()
        let isSafe = text.utf8.allSatisfy { Letters.isLower($0) || Letters.isDigit($0) || $0 == UInt8(ascii: "-") }
        guard isSafe, !text.isEmpty, text.utf8.first != UInt8(ascii: "-"), text.utf8.count <= 64 else {
            throw node.error(
                "`name` wants 1 to 64 lower-case letters, digits and `-`, beginning with a letter or digit, but has `\(text.prefix(80))`.")
        }
        return text
    }

    private static func metricPrefix(_ node: YAMLNode?, name: String) throws(YAMLError) -> String {
        guard let node else {
            let words = name.split(separator: "-").joined(separator: "_")
            return words.utf8.first.map(Letters.isDigit) == true ? "_" + words : words
        }
        let prefix = try node.mapping(["prefix"]).required("prefix")
        let text = try prefix.string()
        let isSafe = text.utf8.allSatisfy { Letters.isLower($0) || Letters.isDigit($0) || $0 == UInt8(ascii: "_") }
        guard isSafe, let first = text.utf8.first, !Letters.isDigit(first), text.utf8.count <= 64 else {
            throw prefix.error(
                "`prefix` wants 1 to 64 lower-case letters, digits and `_`, not beginning with a digit, but has `\(text.prefix(80))`.")
        }
        return text
    }
}

extension UseCaseError {
    init(_ error: YAMLError) {
        self.init(file: error.file, line: error.mark.line, column: error.mark.column, message: error.message)
    }
}

extension StatusTexts {
    init(_ node: YAMLNode?) throws(YAMLError) {
        let keys = try node.map { node throws(YAMLError) in try node.mapping(["normal", "anomaly"]) }
        normal = try keys?["normal"].map { node throws(YAMLError) in try node.nonEmptyString() } ?? "NORMAL"
        anomaly = try keys?["anomaly"].map { node throws(YAMLError) in try node.nonEmptyString() } ?? "ANOMALY"
        if let keys, normal == anomaly { throw keys.node.error("`status` needs two different words, but both are `\(normal)`.") }
    }
}

/// Classes of ASCII letters.
enum Letters {
    static func isLower(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "a") < 26 }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}
