import ServiceKit

@main
struct VyuhaCtlMain {
    static func main() {
        // Started by `up` for itself; not for people, so not in the help.
        if CommandLine.arguments.dropFirst() == ["guard"] { return ProcessGuard.run() }
        Subcommand.dispatch(
            "vyuhactl", "Runs and operates the suite.",
            [
                Subcommand("up", "Runs the whole suite on this machine until Ctrl-C or --duration, and reports.") { UpCommand.run($0) },
                Subcommand("status", "Shows lag, rates, models and entities of a use case.") { try StatusCommand.run($0) },
                Subcommand("quality", "Computes precision and recall again from what `up --record` wrote.") { try QualityCommand.run($0) },
                Subcommand("topics", "Creates or lists the topics of a use case: create, list.") { try TopicsCommand.run($0) },
                Subcommand("models", "Looks after the model registry: list, show, diff, promote, challenge, rollback, delete, train.") {
                    try ModelsCommand.run($0)
                },
                Subcommand("alerts", "Looks after alerts: list, show, ack, snooze, silence, unsilence, history.") { try AlertsCommand.run($0) },
                Subcommand("dead-letters", "Looks at what was refused and why: list, stats, show.") { try DeadLettersCommand.run($0) },
                Subcommand("crash-test", "Proves that kills, freezes and changes of scale change no result.") { CrashTestCommand.run($0) },
                Subcommand("usecase", "Checks a definition and its cases, or proposes one for a sample: check, infer.") {
                    try UseCaseCommand.run($0)
                },
                Subcommand("reset", "Forgets everything about a use case: its records and its keys. Asks first.") {
                    try ResetCommand.run($0)
                },
            ])
    }
}
