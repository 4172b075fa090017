import Text

/// A prefix keeps suites apart that share a Kafka, a Redis or a Prometheus: `team-a` makes `team-a.nyc-taxi.events` of the topic `nyc-taxi.events`.
extension UseCase {
    /// Longest prefix, so that the longest name with it still fits into a label and a topic name (249 characters).
    private static let longest = 32

    /// Throws a sentence where the prefix is not safe in names of topics, groups and keys.
    static func checked(prefix: String) throws(UseCaseError) -> String {
        let isSafe = prefix.utf8.allSatisfy { Letters.isLower($0) || Letters.isDigit($0) || $0 == UInt8(ascii: "-") }
        guard isSafe, prefix.utf8.first != UInt8(ascii: "-"), prefix.utf8.last != UInt8(ascii: "-"), prefix.utf8.count <= longest else {
            throw UseCaseError(
                file: "", line: 0, column: 0,
                message:
                    "a prefix has 1 to \(longest) lower-case letters, digits and `-`, none of these at an end, but this is `\(prefix.prefix(80))`.")
        }
        return prefix
    }

    /// The same use case with other topics, groups and keys: `prefix.name`. Neither part can have a dot, so no two pairs make the same name. Title,
    /// texts and the names of its own metrics stay as they are.
    public func named(under prefix: String?) -> UseCase {
        guard let prefix else { return self }
        var result = self
        result.name = prefix + "." + definitionName
        result.prefix = prefix
        return result
    }

    /// The name in the definition, without a prefix: what commands take.
    public var definitionName: String { prefix.map { String(name.dropFirst($0.utf8.count + 1)) } ?? name }
}
