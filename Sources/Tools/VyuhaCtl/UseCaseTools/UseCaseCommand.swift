import Glibc
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
            (name: "infer", summary: "Proposes a definition for the events of a sample: FILE.csv or FILE.jsonl, plain or gzip."),
        ]
        let action = Action.take("usecase", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let isInfer = action == "infer"
        let settings = Service.readSettings("vyuhactl usecase \(action)", summary, arguments: arguments) { UseCaseSettings(&$0, isInfer: isInfer) }
        guard let subject = settings.subject else {
            let what = isInfer ? "file to look at: vyuhactl usecase infer FILE" : "definition to check: vyuhactl usecase check --use-case NAME"
            throw CommandError("Say which \(what).", status: 64)
        }
        if isInfer { try infer(subject, settings) } else { try check(subject) }
    }

    private static func check(_ nameOrPath: String) throws {
        let useCase = try UseCase.load(nameOrPath)
        print("\(useCase.file): `\(useCase.definitionName)` is sound.")
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

    private static func infer(_ path: String, _ settings: UseCaseSettings) throws {
        let sample = try SampleReader.read(path, rows: settings.rows, delimiter: settings.delimiter)
        print(try DefinitionProposal(sample, name: settings.name ?? SampleReader.useCaseName(of: path)).text, terminator: "")
    }
}

/// The options of `usecase check` and `usecase infer`.
struct UseCaseSettings {
    /// The definition to check, or the sample to look at.
    var subject: String?
    var name: String?
    var rows = 10_000
    var delimiter: UInt8?

    init?(_ reader: inout SettingsReader, isInfer: Bool) {
        guard isInfer else {
            let named = reader.optionalString("VYUHA_USE_CASE", "Name of a use case, or the path of its folder or file.")
            subject = reader.positional("NAME|FILE", "The same without --use-case.") ?? named
            return
        }
        subject = reader.positional("FILE", "The sample; - is standard input.")
        name = reader.optionalString("--name", "The use case's name; without it the file's.")
        rows = reader.integer("--rows", default: 10_000, in: 1...10_000_000, "How many rows are looked at.")
        if let text = reader.optionalString("--delimiter", "The delimiter of a CSV file; without it the one that fits the header.") {
            guard text.utf8.count == 1, let byte = text.utf8.first else {
                reader.reject("--delimiter: wants one sign, not \"\(text)\".")
                return nil
            }
            delimiter = byte
        }
    }
}
