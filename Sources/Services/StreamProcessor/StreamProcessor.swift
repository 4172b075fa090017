import ServiceKit

@main struct StreamProcessor {
    static func main() {
        Service.run(
            "stream-processor", "Checks each event against the use case's schema and computes its features.",
            settings: StreamProcessorSettings.init
        ) { settings, service in
            try StreamProcessorPipeline(settings, service).run()
        }
    }
}
