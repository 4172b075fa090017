/// When and to whom each training row happened. Detectors that look at rows in sequence need it; the others ignore it.
public struct RowOrder: Sendable, Equatable {
    /// Event time of each row, in milliseconds or any other steady unit.
    public var times: [Int64]
    /// A number for each entity, 0 and up; one entity where empty.
    public var entities: [Int32]

    public init(times: [Int64], entities: [Int32] = []) {
        self.times = times
        self.entities = entities
    }

    /// The entity of a row.
    public func entity(_ row: Int) -> Int { entities.isEmpty ? 0 : Int(entities[row]) }

    /// Number of entities named.
    public var entityCount: Int { entities.isEmpty ? 1 : Int(entities.max() ?? 0) + 1 }

    /// Rows of each entity, by time; equal times in the order given.
    public func sequences() -> [[Int]] {
        var result = [[Int]](repeating: [], count: entityCount)
        for row in times.indices { result[entity(row)].append(row) }
        for entity in result.indices { result[entity].sort { (times[$0], $0) < (times[$1], $1) } }
        return result.filter { !$0.isEmpty }
    }

    /// The same with one sequence of all rows where a state takes in whatever comes.
    func sequences(_ scope: StateScope) -> [[Int]] { scope == .entity ? sequences() : RowOrder(times: times).sequences() }

    /// The order of some of the rows.
    func selecting(_ rows: [Int]) -> RowOrder {
        RowOrder(times: rows.map { times[$0] }, entities: entities.isEmpty ? [] : rows.map { entities[$0] })
    }
}
