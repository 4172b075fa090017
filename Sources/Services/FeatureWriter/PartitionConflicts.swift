import ServiceKit

/// Names entities that were seen in two partitions, each once and no more than `limit` of them: a wrong partitioner concerns nearly all.
struct PartitionConflicts {
    static let limit = 20
    private(set) var named: Set<[UInt8]> = []

    /// - Returns: whether the entity is to be named.
    mutating func isNew(_ entity: [UInt8]) -> Bool { named.count < Self.limit && named.insert(entity).inserted }

    mutating func note(_ entity: [UInt8], _ service: Service) {
        guard isNew(entity) else { return }
        service.log.warning(
            "an entity is in two partitions, so its windows and histories are in two parts; whoever writes its events must use the same key and partitioner",
            ["entity": String(decoding: entity, as: UTF8.self)])
        if named.count == Self.limit { service.log.warning("further entities in two partitions are counted and not named", [:]) }
    }
}
