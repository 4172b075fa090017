import ServiceKit

@main struct AlertSink {
    static func main() {
        if CommandLine.arguments.dropFirst().contains("--check") { CheckRun.main() }
        Service.run(
            "alert-sink",
            "Decides which anomalies people are told about, and delivers the alerts until they have arrived. "
                + "With --check --input FILE it only prints what would have been told, when, and why the rest would not.",
            settings: AlertSinkSettings.init
        ) { settings, service in
            try AlertSinkPipeline(settings, service).run()
        }
    }
}
