import Glibc
import JSON
import ServiceKit
import UseCases

/// `vyuhactl quality`: precision and recall of a recorded run, by the code that judged it when it ran.
enum QualityCommand {
    static func run(_ arguments: [String]) throws {
        let settings = Service.readSettings(
            "vyuhactl quality", "Computes precision and recall of a run again, from the records that `vyuhactl up --record FOLDER` wrote.",
            arguments: arguments, switches: ["--json"], QualitySettings.init)
        let run = try RecordedRun(settings.facts, folder: settings.record)
        let judgement = run.judgement(settings.facts)
        if settings.isJSON { print(JSONValue.object(judgement.members).pretty) } else { for line in judgement.lines { print(line) } }
        if run.unreadable > 0 { Service.standardError("vyuhactl quality: \(run.unreadable) lines could not be read and were left out.\n") }
    }
}

/// Every setting of `vyuhactl quality`.
private struct QualitySettings {
    let facts: RunFacts
    let record: String
    let isJSON: Bool

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let record = reader.optionalString("--record", "The folder that `vyuhactl up --record` wrote.")
        isJSON = reader.toggle("--json", "Print `detection`, `episodes` and `baseline` as the report has them.")
        guard let record else {
            reader.reject("--record: say which folder `vyuhactl up --record` wrote.")
            return nil
        }
        guard let useCase else { return nil }
        facts = RunFacts(useCase)
        self.record = record
    }
}
