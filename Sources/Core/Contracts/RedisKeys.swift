/// The Redis keys of one use case. All names are made here and nowhere else; all start with `vyuha:<use case>:`.
public struct RedisKeys: Sendable, Equatable {
    /// The prefix that `vyuhactl reset` removes.
    public let prefix: String

    public init(useCase: String) { prefix = "vyuha:" + useCase + ":" }

    /// Hash: the latest feature vector of an entity in one feature set. Has a time to live.
    public func online(set: String, entity: String) -> String { prefix + "online:" + set + ":" + entity }
    /// Pattern of all online keys of a set, for counting entities.
    public func onlinePattern(set: String) -> String { prefix + "online:" + set + ":*" }

    /// String: the model bytes of one immutable version.
    public func modelBytes(set: String, version: Int64) -> String { prefix + "model:" + set + ":" + String(version) + ":bytes" }
    /// Hash: what the registry knows about that version.
    public func modelMetadata(set: String, version: Int64) -> String { prefix + "model:" + set + ":" + String(version) + ":meta" }
    /// What the keys of a set's versions start with; the version and `:bytes` or `:meta` follow.
    public func modelPrefix(set: String) -> String { prefix + "model:" + set + ":" }
    /// Counter of the use case: how often the current version of any set has changed.
    public var modelGeneration: String { prefix + "model-generation" }
    /// String: the version that is to be compared with the current one.
    public func modelChallenger(set: String) -> String { prefix + "model:" + set + ":challenger" }
    /// String: the version that scores now.
    public func modelCurrent(set: String) -> String { prefix + "model:" + set + ":current" }
    /// Counter: the last version number handed out.
    public func modelSequence(set: String) -> String { prefix + "model:" + set + ":sequence" }
    /// Sorted set: all versions, scored by version number.
    public func modelVersions(set: String) -> String { prefix + "model:" + set + ":versions" }

    /// List: promotions and rollbacks of a feature set's models, oldest first.
    public func modelHistory(set: String) -> String { prefix + "model:" + set + ":history" }

    /// Hash: an alert group: `v` (write number), `s` (state, JSON) and `a` (its worst anomaly, JSON).
    public func alertState(group: String) -> String { prefix + "alert:state:" + group }
    /// Sorted set: groups with a burst, by the time at which they must be looked at again, milliseconds.
    public var alertTimers: String { prefix + "alert:timers" }
    /// String: how far a partition of `<uc>.anomalies` has been handled.
    public func alertSeen(partition: Int32) -> String { prefix + "alert:seen:" + String(partition) }
    /// String: until when an inhibition holds. Has a time to live.
    public func alertInhibition(_ key: String) -> String { prefix + "alert:inhibition:" + key }
    /// Hash like that of a group: the cap of the hour.
    public var alertFuse: String { prefix + "alert:fuse" }
    /// Hash: silences by id, JSON.
    public var alertSilences: String { prefix + "alert:silences" }
    /// String: which sink looks after the timers. Has a time to live.
    public var alertLease: String { prefix + "alert:lease" }
    /// Stream: what people were told and did, the oldest first; bounded.
    public var alertHistory: String { prefix + "alert:history" }
    /// Stream of alerts that a receiver has still to get.
    public func alertOutbox(receiver: String) -> String { prefix + "alert:outbox:" + receiver }

    /// Counter: the newest owner of a partition's state.
    public func stateToken(service: String, partition: Int32) -> String { prefix + "state:" + service + ":" + String(partition) + ":token" }
    /// Hash: the state of a partition.
    public func stateSnapshot(service: String, partition: Int32) -> String { prefix + "state:" + service + ":" + String(partition) + ":snapshot" }

    /// Hash: number of partitions that each input topic had when the state was built.
    public func stateTopics(service: String) -> String { prefix + "state:" + service + ":topics" }
    /// Hash: how often a service tried partitions and records that break it.
    public func attempts(service: String) -> String { prefix + "attempts:" + service }

    /// String: how far a source has been delivered.
    public func producerPosition(source: String) -> String { prefix + "producer:" + source }
}
