/// The number of partitions is not the one that the state was built with.
public struct PartitionsChanged: Error, CustomStringConvertible {
    let topic: String
    let before: Int
    let now: Int
    let service: String

    public var description: String {
        "The topic \(topic) has \(now) partitions, but the state of \(service) was built with \(before): entities are in other partitions now. "
            + "Give the topic \(before) partitions again, or run 'vyuhactl reset' and begin with new topics and an empty state."
    }
}
