import HTTPServer
import RedisClient
import ServiceKit
import Synchronization
import UseCases

/// `POST /predict`: one event or an array of events in, the use case's reply or an array of replies out. The same decoder, expressions and
/// model as the stream.
///
/// Runs on the HTTP server's threads; each takes a predictor that is free, so none ever waits for another.
final class PredictEndpoint: Sendable {
    private let slots: [Slot]

    /// A predictor and who has it.
    private final class Slot: Sendable {
        let predictor: Mutex<Predictor>
        init(_ predictor: sending Predictor) { self.predictor = Mutex(predictor) }
    }

    /// - Parameter threads: of the HTTP server.
    init(_ useCase: UseCase, _ models: CurrentModels, redis: RedisSettings, onlineTimeout: Int, threads: Int) {
        slots = (0..<max(1, threads)).map { _ in Slot(Predictor(useCase, models, redis: redis, onlineTimeout: onlineTimeout)) }
    }

    func answer(_ request: borrowing HTTPServerRequest, _ metrics: APIMetrics) -> HTTPServerResponse {
        var explaining = false
        if let wanted = request.query("explain") {
            switch wanted {
            case "true", "1", "": explaining = true
            case "false", "0": break
            default:
                metrics.invalid.add()
                return HTTPServerResponse(
                    status: 422,
                    body: Array(#"{"detail":[{"loc":["query","explain"],"msg":"`explain` must be true or false.","type":"wrong-type"}]}"#.utf8))
            }
        }
        let body = request.body
        for slot in slots {
            if let response = slot.predictor.withLockIfAvailable({ $0.predict(body, explaining: explaining, metrics) }) { return response }
        }
        return slots[0].predictor.withLock { $0.predict(body, explaining: explaining, metrics) }
    }

    /// Brings the latency histogram up to date, for a scrape.
    func flush(_ metrics: APIMetrics) {
        for slot in slots { slot.predictor.withLock { $0.flush(metrics) } }
    }
}
