import ServiceKit

/// Sends the events of a source to `<uc>.events`, and what is known about their truth to `<uc>.labels`.
@main
struct Producer {
    static func main() {
        Service.run(
            "producer", "Replays a CSV file or runs a simulator: events to Kafka, or rows to a file.",
            settings: ProducerSettings.init(reader:)
        ) { settings, service in
            try ProducerPipeline(settings, service).run()
        }
    }
}
