import Contracts
import KafkaClient
import ServiceKit
import Text
import UseCases

/// `vyuhactl dead-letters list | stats | show`.
enum DeadLettersCommand {
    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let actions = [
            (name: "list", summary: "Lists what was refused, newest first: where it is, when, by which stage, why."),
            (name: "stats", summary: "Counts what was refused by stage, reason and field."),
            (name: "show", summary: "Shows one dead letter whole: the sentence, its headers, the original bytes."),
        ]
        let action = Action.take("dead-letters", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let settings = Service.readSettings("vyuhactl dead-letters \(action)", summary, arguments: arguments) { DeadLettersSettings(&$0, action) }
        switch action {
        case "list": print(try DeadLetterReport.list(settings.scan, settings.filter, limit: settings.limit))
        case "stats": print(try DeadLetterReport.stats(settings.scan, settings.filter))
        default:
            guard let address = settings.address else {
                throw CommandError("Say which: vyuhactl dead-letters show PARTITION:OFFSET, as `list` names it.", status: 64)
            }
            print(try DeadLetterReport.show(settings.scan, address))
        }
    }
}

private struct DeadLettersSettings {
    let scan: DeadLetterScan
    var filter = DeadLetterFilter()
    var limit = 50
    var address: String?

    init?(_ reader: inout SettingsReader, _ action: String) {
        if action == "show" { address = reader.positional("PARTITION:OFFSET", "The letter, as `list` names it.") }
        let useCase = reader.useCase()
        let kafka = reader.kafka()
        if action != "show" {
            let reasons = DeadLetterReason.allCases.map(\.rawValue)
            filter.reason = reader.value("--reason", default: nil, "Only of this reason (\(reasons.joined(separator: " | "))).") { text in
                guard let reason = DeadLetterReason(rawValue: text) else {
                    throw CommandError("\"\(text)\" is no reason." + (Nearest.name(to: text, in: reasons).map { " Is `\($0)` meant?" } ?? ""))
                }
                return reason
            }
            filter.stage = reader.value(
                "--stage", default: nil, "Only of this stage (\(DeadLetter.Stage.allCases.map(\.rawValue).joined(separator: " | ")))."
            ) {
                guard let stage = DeadLetter.Stage(rawValue: $0) else { throw CommandError("\"\($0)\" is no stage.") }
                return stage
            }
            filter.field = reader.optionalString("--field", "Only where this field was wrong.")
            filter.entity = reader.optionalString("--entity", "Only with this key.")
            filter.since = reader.duration("--since", default: nil, in: 1...Int.max, "Only of the last 1h, 2d, …").map {
                Clock.milliseconds - Int64($0)
            }
        }
        if action == "list" { limit = reader.integer("--limit", default: 50, in: 1...10_000, "How many are listed.") }
        guard let useCase else { return nil }
        scan = DeadLetterScan(topic: Topics(useCase: useCase.name).deadLetter, kafka: kafka)
    }
}
