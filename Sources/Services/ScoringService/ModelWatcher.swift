import Detectors
import Features
import ModelRegistry
import RedisClient
import Scoring
import ServiceKit
import UseCases

/// Keeps `CurrentModels` at the registry's `current` versions, on a thread of its own.
///
/// A new version is loaded and checked in full before it replaces the old one. A version that is damaged or whose features are not those
/// of the use case is refused: the old one goes on, the metric `vyuha_model_load_failures_total` says so.
struct ModelWatcher: Sendable {
    private let useCase: UseCase
    private let models: CurrentModels
    private let service: Service
    private let redis: RedisSettings
    private let poll: Int

    init(_ settings: ScoringServiceSettings, _ service: Service) {
        useCase = settings.useCase
        models = settings.models
        redis = settings.common.redis
        poll = settings.modelPoll
        self.service = service
    }

    func start() {
        service.warnOfEviction(redis)
        Threads.start("model-watcher") { run() }
    }

    private func run() {
        let client = RedisClient(redis)
        let registry = ModelRegistry(client, useCase: useCase.name)
        let failures = service.metrics.counter("vyuha_model_load_failures_total", "Model versions that could not be used.")
        let swaps = service.metrics.counter("vyuha_model_swaps_total", "Model versions taken into use.")
        let versions = useCase.plan.sets.map { set in
            service.metrics.gauge("vyuha_model_version", "Version of the model in use.", [("set", set.name)])
        }
        let created = useCase.plan.sets.map { set in
            service.metrics.gauge(
                "vyuha_model_created_timestamp_seconds", "When the model in use was fitted, seconds since the epoch.", [("set", set.name)])
        }
        var active = models.active
        var quietUntil = 0.0
        while !service.life.isStopping {
            do {
                if try registry.generation() != active.generation {
                    let newest = try registry.lineUp(sets: useCase.plan.sets.map(\.name))
                    for (index, version) in newest.versions.enumerated() {
                        guard let version, version != active.models[index]?.version else { continue }
                        guard let loaded = try load(registry, set: index, version) else {
                            failures.add()
                            continue
                        }
                        active.models[index] = loaded
                        swaps.add()
                        versions[index].set(Double(version))
                        created[index].set(Double(loaded.model.metadata.createdAt) / 1000)
                    }
                    active.generation = newest.generation
                    models.put(active)
                }
            } catch {
                if Clock.monotonicSeconds >= quietUntil {
                    quietUntil = Clock.monotonicSeconds + 10
                    service.log.warning("the model registry does not answer", ["error": "\(error)"])
                }
            }
            Clock.sleep(milliseconds: poll)
        }
    }

    /// Nil for a version that cannot be used; throws where Redis is away.
    private func load(_ registry: ModelRegistry, set index: Int, _ version: Int64) throws -> ActiveModel? {
        let set = useCase.plan.sets[index]
        do {
            let model = try TrainedModel(decoding: registry.load(set: set.name, version: version).bytes)
            if let loaded = ActiveModel(model, version: version, set: index, of: useCase, loadedAt: Clock.milliseconds) {
                service.log.info("model ready", ["set": set.name, "version": version, "detector": model.kind.rawValue])
                return loaded
            }
            service.log.error(
                "a model was refused: it wants features that the use case does not have; the old one stays",
                [
                    "set": set.name, "version": version, "model": model.featureNames.joined(separator: ","),
                    "use_case": set.features.joined(separator: ","),
                ])
        } catch let error as RegistryError where error.isRetryable {
            throw error
        } catch {
            service.log.error("a model could not be loaded; the old one stays", ["set": set.name, "version": version, "error": "\(error)"])
        }
        return nil
    }
}
