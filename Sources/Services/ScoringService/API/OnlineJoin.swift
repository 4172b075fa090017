import FeatureStore
import Features
import RedisClient
import ServiceKit
import UseCases

/// What the online store contributed to one answer.
enum OnlineStatus: String, CaseIterable {
    /// No feature of the set needs more than the event.
    case notNeeded = "not-needed"
    /// The features that need history are those of the entity's latest event.
    case joined
    /// The store knows nothing of the entity: scored with what is known.
    case unknownEntity = "unknown-entity"
    /// The store does not answer: scored with what is known.
    case unavailable
}

/// Takes the features that an event alone cannot give from the online store, where the stream has left them. One thread's own.
///
/// A store that does not answer within the timeout is left alone for a second, so that a dead Redis costs one timeout a second and not one
/// for each request.
final class OnlineJoin {
    /// Positions in the set of the features that come from the store.
    let columns: [Int]
    private let store: OnlineStore
    private let width: Int
    private var quietUntil = 0.0

    /// Nil when no feature needs it.
    init?(_ useCase: UseCase, set: Int, redis: RedisSettings, timeout milliseconds: Int) {
        columns = useCase.plan.featuresLookingBack[set]
        guard !columns.isEmpty else { return nil }
        var settings = redis
        settings.connectTimeout = milliseconds
        settings.commandTimeout = milliseconds
        let info = useCase.plan.sets[set]
        width = info.features.count
        // The time to live is for writers; this one only reads.
        store = OnlineStore(RedisClient(settings), useCase: useCase.name, set: info.name, features: info.features, timeToLive: 1)
    }

    /// Fills the columns of each row from the latest vector of its entity.
    ///
    /// - Parameters:
    ///   - matrix: `[row × feature of the set]`.
    ///   - statuses: gets one entry per row.
    func join(_ entities: [String], matrix: inout [Double], statuses: inout [OnlineStatus]) {
        guard let found = vectors(entities) else {
            for _ in entities { statuses.append(.unavailable) }
            return
        }
        for (row, vector) in found.enumerated() {
            if let vector {
                for column in columns { matrix[row * width + column] = vector.values[column] }
            }
            statuses.append(vector == nil ? .unknownEntity : .joined)
        }
    }

    /// Nil while the store does not answer.
    private func vectors(_ entities: [String]) -> [OnlineVector?]? {
        guard Clock.monotonicSeconds >= quietUntil else { return nil }
        do {
            return try store.get(entities)
        } catch {
            quietUntil = Clock.monotonicSeconds + 1
            return nil
        }
    }
}
