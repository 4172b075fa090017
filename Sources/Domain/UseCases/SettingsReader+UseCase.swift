import ServiceKit

extension SettingsReader {
    /// The setting that every service has first: which use case it works for, loaded and checked, under the prefix of its topics, groups and keys.
    public mutating func useCase(_ help: String = "Name of a use case, or the path of its folder or file.") -> UseCase? {
        let prefix = value(
            "VYUHA_PREFIX", default: nil,
            "Put with a dot before the names of topics, consumer groups and Redis keys, for people who share a Kafka or a Redis."
        ) { try UseCase.checked(prefix: $0) }
        return value("VYUHA_USE_CASE", default: nil, help) { text in
            try UseCase.load(text, environment: SettingsReader.processEnvironment()).named(under: prefix)
        }
    }
}
