import ServiceKit

@main struct ScoringService {
    static func main() {
        Service.run(
            "scoring-service", "Scores the feature stream with the current model, and single events by POST /predict.",
            settings: ScoringServiceSettings.init
        ) { settings, service in
            try ScoringServicePipeline(settings, service).run()
        }
    }
}
