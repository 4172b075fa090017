import RedisClient

/// What the registry knows about one version of a model; never changes once published.
public struct ModelVersion: Sendable, Equatable {
    /// The feature set that the model scores.
    public let set: String
    /// 1, 2, … per feature set; never used twice.
    public let version: Int64
    /// Wall clock of the publisher, milliseconds.
    public let publishedAt: Int64
    public let byteCount: Int
    /// SHA-256 of the bytes, lower-case hexadecimal.
    public let sha256: String
    /// The publisher's own metadata, such as `detector`, `rows`, `average_precision`.
    public let facts: [String: String]

    /// Facts are stored under this prefix, so that they cannot collide with the registry's own fields.
    static let factPrefix = "fact:"

    init(set: String, version: Int64, publishedAt: Int64, byteCount: Int, sha256: String, facts: [String: String]) {
        self.set = set
        self.version = version
        self.publishedAt = publishedAt
        self.byteCount = byteCount
        self.sha256 = sha256
        self.facts = facts
    }

    /// Fields of the hash as Redis returns them; nil where one of the registry's own is missing.
    init?(set: String, version: Int64, _ reply: RedisValue) {
        guard let fields = reply.fields, !fields.isEmpty else { return nil }
        var own: [String: String] = [:]
        var facts: [String: String] = [:]
        for (name, value) in fields {
            let text = String(decoding: value, as: UTF8.self)
            if name.hasPrefix(Self.factPrefix) { facts[String(name.dropFirst(Self.factPrefix.count))] = text } else { own[name] = text }
        }
        guard let published = own["published_at"].flatMap({ Int64($0) }), let count = own["bytes"].flatMap({ Int($0) }),
            let sum = own["sha256"]
        else { return nil }
        self.init(set: set, version: version, publishedAt: published, byteCount: count, sha256: sum, facts: facts)
    }
}

/// A model as it was published; the bytes have been checked against size and checksum.
public struct StoredModel: Sendable, Equatable {
    public let metadata: ModelVersion
    public let bytes: [UInt8]
}

/// One change of the pointer `current`.
public struct ModelPromotion: Sendable, Equatable {
    public let version: Int64
    /// Wall clock of who did it, milliseconds.
    public let at: Int64
    public let isRollback: Bool
    /// It was the use case's n-th change.
    public let generation: Int64

    /// `<p|r>:<version>:<time>:<generation>`, as the scripts write it.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 4, let version = Int64(parts[1]), let at = Int64(parts[2]), let generation = Int64(parts[3]) else { return nil }
        self.version = version
        self.at = at
        self.generation = generation
        isRollback = parts[0] == "r"
    }
}
