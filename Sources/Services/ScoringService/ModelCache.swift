import Detectors
import ModelRegistry
import Platform
import RedisClient
import Scoring
import ServiceKit
import UseCases

/// The model versions that partitions use: the present ones, and older ones where a replay needs them. The loop's own.
final class ModelCache {
    private let useCase: UseCase
    private let current: CurrentModels
    private let registry: ModelRegistry
    private let service: Service
    private var changes = -1
    private var present = ActiveModels(generation: 0, models: [])
    /// Versions that some partition may still use.
    private var known: [Weak] = []

    private struct Weak {
        weak var model: ActiveModel?
    }

    init(_ useCase: UseCase, _ current: CurrentModels, redis: RedisSettings, _ service: Service) {
        self.useCase = useCase
        self.current = current
        registry = ModelRegistry(RedisClient(redis), useCase: useCase.name)
        self.service = service
    }

    /// The newest usable models; their generation is the one that a partition should go on to.
    var newest: ActiveModels {
        let now = current.changes
        if now != changes {
            changes = now
            present = current.active
            known.removeAll { $0.model == nil }
            known += present.models.compactMap { $0.map { Weak(model: $0) } }
        }
        return present
    }

    /// The models of a generation. Where a version is gone or cannot be used, what the partition has goes on; the newest one if it has none.
    func models(at generation: Int64, for state: ScoringState) throws -> ActiveModels {
        if generation == newest.generation { return newest }
        let names = useCase.plan.sets.map(\.name)
        let versions = try patiently { registry throws(RegistryError) in try registry.lineUp(sets: names, at: generation).versions }
        let models = try versions.enumerated().map { set, version in
            let model = try version.flatMap { try self.model(set: set, version: $0) }
            return model ?? (state.version(ofSet: set) == 0 ? newest.models[set] : nil)
        }
        return ActiveModels(generation: generation, models: models)
    }

    /// A version, loaded where no partition uses it yet; nil where it is gone or cannot be used.
    func model(set: Int, version: Int64) throws -> ActiveModel? {
        if let found = newest.models[set], found.version == version { return found }
        if let found = known.lazy.compactMap(\.model).first(where: { $0.set == set && $0.version == version }) { return found }
        let info = useCase.plan.sets[set]
        do {
            let stored = try patiently { registry throws(RegistryError) in try registry.load(set: info.name, version: version) }
            let model = try TrainedModel(decoding: stored.bytes)
            guard let active = ActiveModel(model, version: version, set: set, of: useCase, loadedAt: Clock.milliseconds) else { return nil }
            known.append(Weak(model: active))
            return active
        } catch let error as RegistryError where error.isRetryable {
            throw error
        } catch {
            service.log.warning(
                "a model version that a replay needs is gone; the records are scored by another",
                ["set": info.name, "version": version, "error": "\(error)"])
            return nil
        }
    }

    /// A replay cannot go on without its models: Redis is waited for, up to a minute.
    private func patiently<T>(_ body: (ModelRegistry) throws(RegistryError) -> T) throws -> T {
        let end = Clock.monotonicSeconds + 60
        var backoff = Backoff()
        while true {
            do throws(RegistryError) { return try body(registry) } catch {
                guard error.isRetryable, Clock.monotonicSeconds < end, !service.life.isStopping else { throw error }
                if backoff.attempts == 0 { service.log.warning("a model waits for Redis", ["error": "\(error)"]) }
                Clock.sleep(milliseconds: backoff.next())
            }
        }
    }
}
