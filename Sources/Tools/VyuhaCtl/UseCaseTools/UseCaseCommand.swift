import Glibc
import KafkaClient
import ServiceKit
import UseCases
import YAMLReader

/// `vyuhactl usecase check | infer`.
enum UseCaseCommand {
    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let actions = [
            (
                name: "check",
                summary: "Checks the definition that --use-case (or NAME or FILE alone) names and runs the cases of tests.yaml beside it."
            ),
            (
                name: "infer",
                summary:
                    "Proposes a definition for the events of a sample: a file (CSV or JSON Lines, plain or gzip), an API, a Kafka topic or a PostgreSQL table."
            ),
        ]
        let action = Action.take("usecase", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let isInfer = action == "infer"
        if isInfer {
            return try infer(Service.readSettings("vyuhactl usecase infer", summary, arguments: arguments, InferSettings.init))
        }
        let subject = Service.readSettings("vyuhactl usecase check", summary, arguments: arguments, CheckSettings.init).subject
        guard let subject else { throw CommandError("Say which definition to check: vyuhactl usecase check --use-case NAME.", status: 64) }
        try check(subject)
    }

    private static func check(_ nameOrPath: String) throws {
        let useCase = try UseCase.load(nameOrPath)
        print("\(useCase.file): `\(useCase.name)` is sound.")
        let path = useCase.folder + "/tests.yaml"
        guard access(path, F_OK) == 0 else {
            print("There is no \(path); write one with events and what must come of them.")
            return
        }
        let results = try run(path, useCase)
        for result in results {
            print("\(result.hasPassed ? "ok    " : "FAILED")  \(result.name)")
            for problem in result.problems { print("        \(path):\(result.line): \(StatusView.plainText(problem))") }
        }
        let failed = results.count { !$0.hasPassed }
        print(failed == 0 ? "\(results.count) cases passed." : "\(failed) of \(results.count) cases failed.")
        if failed > 0 { exit(1) }
    }

    /// Runs a file of cases.
    static func run(_ path: String, _ useCase: UseCase) throws -> [CaseResult] {
        let node = try YAMLNode.parse(try YAMLNode.bytes(of: path), file: path)
        let runner = CaseRunner(plan: useCase.plan)
        return try DefinitionCase.load(node, for: useCase).map(runner.run)
    }

    private static func infer(_ settings: InferSettings) throws {
        let sample = try settings.sample()
        print(try DefinitionProposal(sample, name: settings.name ?? SampleReader.useCaseName(of: sample.origin)).text, terminator: "")
    }
}

/// The options of `usecase check`.
struct CheckSettings {
    /// The definition to check.
    let subject: String?

    init?(_ reader: inout SettingsReader) {
        let named = reader.optionalString("VYUHA_USE_CASE", "Name of a use case, or the path of its folder or file.")
        subject = reader.positional("NAME|FILE", "The same without --use-case.") ?? named
    }
}

/// The options of `usecase infer`.
struct InferSettings {
    private let subject: String?
    private let topic: String?
    private let kafka: KafkaSettings
    private let table: String?
    private let connection: String?
    private let tokenFile: String?
    let name: String?
    private let rows: Int
    private var delimiter: UInt8?

    init?(_ reader: inout SettingsReader) {
        subject = reader.positional("FILE|URL", "The sample; - is standard input. An address is an API that is asked once.")
        topic = reader.optionalString("--topic", "The sample is the newest records of this Kafka topic.")
        kafka = reader.kafka()
        table = reader.optionalString("--table", "The sample is rows of this PostgreSQL table.")
        connection = reader.optionalString("VYUHA_POSTGRES", secret: true, "Where the table is: host=… dbname=…, or postgresql://…")
        tokenFile = reader.optionalString("--token-file", "File with the token for an API that wants one.")
        name = reader.optionalString("--name", "The use case's name; without it the sample's.")
        rows = reader.integer("--rows", default: 10_000, in: 1...10_000_000, "How many rows are looked at.")
        if let text = reader.optionalString("--delimiter", "The delimiter of a CSV file; without it the one that fits the header.") {
            guard text.utf8.count == 1, let byte = text.utf8.first else {
                reader.reject("--delimiter: wants one sign, not \"\(text)\".")
                return nil
            }
            delimiter = byte
        }
        if [subject, topic, table].compactMap(\.self).count > 1 { reader.reject("FILE, --topic and --table exclude each other; give one of them.") }
    }

    func sample() throws -> Sample {
        if let topic { return try SampleReader.read(topic: topic, of: kafka, rows: rows) }
        if let table { return try SampleReader.read(table: table, at: connection ?? "", rows: rows) }
        guard let subject else {
            throw CommandError(
                "Say what to look at: vyuhactl usecase infer FILE, or an address of an API, --topic NAME, or --table NAME.", status: 64)
        }
        guard subject.hasPrefix("http://") || subject.hasPrefix("https://") else {
            return try SampleReader.read(subject, rows: rows, delimiter: delimiter)
        }
        let token = try tokenFile.map {
            String(decoding: try YAMLNode.bytes(of: $0), as: UTF8.self).split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        }
        return try SampleReader.read(api: subject, token: token, rows: rows)
    }
}
