extension Array {
    /// Appends copies of a value; where there is no room, makes it for an eighth more than there is, not for twice as much: what is kept
    /// per entity must stay small, and once a partition's entities are known nothing grows.
    mutating func appendSparingly(repeating value: Element, count added: Int) {
        if count + added > capacity { reserveCapacity(Swift.max(count + added, count + count / 8, 256)) }
        append(contentsOf: repeatElement(value, count: added))
    }
}
