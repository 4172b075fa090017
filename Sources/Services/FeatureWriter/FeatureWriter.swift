import ServiceKit

@main struct FeatureWriter {
    static func main() {
        Service.run(
            "feature-writer", "Keeps the newest feature vector of each entity in Redis.", settings: FeatureWriterSettings.init
        ) { settings, service in
            try FeatureWriterPipeline(settings, service).run()
        }
    }
}
