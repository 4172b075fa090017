import ServiceKit

@main struct AlertSink {
    static func main() {
        Service.run(
            "alert-sink", "Decides which anomalies people are told about, and delivers the alerts until they have arrived.",
            settings: AlertSinkSettings.init
        ) { settings, service in
            try AlertSinkPipeline(settings, service).run()
        }
    }
}
