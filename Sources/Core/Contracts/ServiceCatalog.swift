/// The services of the suite, as `services/catalog.yaml` lists them: that file explains each property and is the place to change one.
public enum ServiceCatalog {
    public struct Service: Sendable, Equatable {
        /// Executable, image and Kubernetes objects.
        public let name: String
        /// Where it listens unless told otherwise.
        public let port: UInt16
        /// Topics of its consumer group, without the use case's name.
        public let reads: [String]
        /// Topics that it writes, without the use case's name.
        public let writes: [String]
        /// Whether it stores what it knows of a partition in Redis.
        public let isStateful: Bool
        /// Whether more than one replica may run.
        public let scales: Bool
    }

    /// Those that belong to a consumer group, in the order in which an event passes them.
    public static var consumers: [Service] { services.filter { !$0.reads.isEmpty } }

    // catalog: begin (`services/scripts/catalog.py --write` makes it)
    public static let services: [Service] = [
        Service(
            name: "producer", port: 9101, reads: [], writes: ["events", "labels", "dead-letter"],
            isStateful: false, scales: false),
        Service(
            name: "stream-processor", port: 9102, reads: ["events"], writes: ["features", "dead-letter"],
            isStateful: true, scales: true),
        Service(
            name: "feature-writer", port: 9103, reads: ["features"], writes: ["dead-letter"],
            isStateful: false, scales: true),
        Service(
            name: "scoring-service", port: 8000, reads: ["features"], writes: ["scores", "anomalies", "dead-letter"],
            isStateful: true, scales: true),
        Service(
            name: "alert-sink", port: 9105, reads: ["anomalies"], writes: ["alerts", "dead-letter"],
            isStateful: false, scales: true),
    ]
    // catalog: end
}
