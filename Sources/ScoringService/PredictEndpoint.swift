import Features
import HTTPServer
import JSON
import ServiceKit
import Synchronization
import UseCases

/// `POST /predict`: one event in, the use case's reply out. The same decoder, expressions and model as the stream.
///
/// Answers: 200 with the reply; 422 with one entry per wrong field (`loc`, `msg`, `type`); 503 while there is no model.
/// Runs on the HTTP server's thread; its state sits behind a lock that only a second server thread would ever wait for.
struct PredictEndpoint: Sendable {
    private let state: PredictState

    init(_ useCase: UseCase, _ models: CurrentModels) {
        state = PredictState(useCase, models)
    }

    /// The routes that the scoring service adds to `/health`, `/ready` and `/metrics`.
    var routes: AdminRoutes {
        let state = state
        return { request, _ in
            guard request.isPath("/predict") else { return nil }
            guard request.method == .post else { return .methodNotAllowed(allow: "POST") }
            return state.predict(request.body)
        }
    }
}

/// What one prediction needs and reuses.
private final class PredictState: Sendable {
    private struct Buffers {
        let decoder: EventDecoder
        let evaluator: FeatureEvaluator
        var scorers: Scorers
        var row: [Double] = []
        var scores: [Double] = []
        var flags: [Bool] = []
        var json = JSONWriter(capacity: 512)
    }

    private let buffers: Mutex<Buffers>
    private let set: Int
    private let reply: ReplyWriter

    init(_ useCase: UseCase, _ models: CurrentModels) {
        let set = 0
        self.set = set
        reply = ReplyWriter(useCase)
        let widths = useCase.plan.sets.map(\.features.count)
        buffers = Mutex(
            Buffers(
                decoder: EventDecoder(schema: useCase.plan.schema), evaluator: FeatureEvaluator(plan: useCase.plan, set: set),
                scorers: Scorers(models, widths: widths)))
    }

    func predict(_ body: [UInt8]) -> HTTPServerResponse {
        buffers.withLock { buffers in
            guard buffers.decoder.decode(body) else { return Self.unprocessable(buffers.decoder.errors) }
            buffers.scorers.refresh()
            guard let scorer = buffers.scorers[set] else {
                return HTTPServerResponse(
                    status: 503, headers: [("Retry-After", "1")],
                    body: JSONValue.object([JSONMember("detail", "There is no model yet. Train one with: trainer fit.")]).serialized)
            }
            buffers.evaluator.compute(buffers.decoder.row, into: &buffers.row)
            scorer.score(buffers.row, scores: &buffers.scores, flags: &buffers.flags)
            let verdict = Verdict(
                score: buffers.scores[0], isAnomaly: buffers.flags[0],
                confidence: confidence(score: buffers.scores[0], threshold: scorer.loaded.model.threshold), loaded: scorer.loaded)
            buffers.json.removeAll()
            reply.write(verdict, of: buffers.decoder, features: scorer.vectors, into: &buffers.json)
            return HTTPServerResponse(body: buffers.json.bytes)
        }
    }

    /// FastAPI's shape of a validation error, which clients of such services already read.
    private static func unprocessable(_ errors: [FieldError]) -> HTTPServerResponse {
        let details = errors.map { error -> JSONValue in
            let location: [JSONValue] = error.field.isEmpty ? ["body"] : ["body", .string(error.field)]
            return .object([
                JSONMember("loc", .array(location)), JSONMember("msg", .string(error.message)), JSONMember("type", .string(error.reason.rawValue)),
            ])
        }
        return HTTPServerResponse(status: 422, body: JSONValue.object([JSONMember("detail", .array(details))]).serialized)
    }
}
