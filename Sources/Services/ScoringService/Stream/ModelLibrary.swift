import Platform
import Detectors
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// The model versions that partitions use: the present line-up, and older ones where a replay needs them. The loop's own.
final class ModelLibrary {
    private let useCase: UseCase
    private let current: CurrentModels
    private let registry: ModelRegistry
    private let service: Service
    private var changes = -1
    private var present = LineUp(generation: 0, models: [])
    private var presentModels: [StreamModel?] = []
    /// Versions that some partition still uses.
    private var known: [(set: Int, version: Int64, model: Weak)] = []

    private struct Weak {
        weak var model: StreamModel?
    }

    init(_ useCase: UseCase, _ current: CurrentModels, redis: RedisSettings, _ service: Service) {
        self.useCase = useCase
        self.current = current
        registry = ModelRegistry(RedisClient(redis), useCase: useCase.name)
        self.service = service
    }

    var sets: Int { useCase.plan.sets.count }

    /// The generation that a partition should go on to.
    var newest: Int64 {
        refresh()
        return present.generation
    }

    /// The models of a generation. A version that is gone or cannot be used is nil: the partition keeps what it has.
    func models(at generation: Int64) throws -> [StreamModel?] {
        refresh()
        if generation == present.generation { return presentModels }
        let names = useCase.plan.sets.map(\.name)
        let versions = try patiently { registry throws(RegistryError) in try registry.lineUp(sets: names, at: generation).versions }
        return try versions.enumerated().map { set, version in try version.flatMap { try model(set: set, version: $0) } }
    }

    /// The newest usable model of a set.
    func newest(set: Int) -> StreamModel? {
        refresh()
        return presentModels[set]
    }

    /// A version, loaded where no partition uses it yet; nil where it is gone or cannot be used.
    func model(set: Int, version: Int64) throws -> StreamModel? {
        refresh()
        known.removeAll { $0.model.model == nil }
        if let found = known.first(where: { $0.set == set && $0.version == version })?.model.model { return found }
        let info = useCase.plan.sets[set]
        do {
            let stored = try patiently { registry throws(RegistryError) in try registry.load(set: info.name, version: version) }
            guard let loaded = LoadedModel(try TrainedModel(decoding: stored.bytes), version: version, features: info.features) else { return nil }
            return keep(loaded, set)
        } catch let error as RegistryError where error.isRetryable {
            throw error
        } catch {
            service.log.warning(
                "a model version that a replay needs is gone; the records are scored by another",
                ["set": info.name, "version": version, "error": "\(error)"])
            return nil
        }
    }

    private func refresh() {
        let now = current.generation
        guard now != changes else { return }
        changes = now
        present = current.lineUp
        presentModels = present.models.enumerated().map { set, loaded in
            loaded.map { loaded in
                known.first { $0.set == set && $0.version == loaded.version }?.model.model ?? keep(loaded, set)
            }
        }
    }

    private func keep(_ loaded: LoadedModel, _ set: Int) -> StreamModel {
        let model = StreamModel(loaded, set: set, useCase: useCase)
        known.append((set, loaded.version, Weak(model: model)))
        return model
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
