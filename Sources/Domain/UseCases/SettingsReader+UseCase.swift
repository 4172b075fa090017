import ServiceKit

extension SettingsReader {
    /// The setting that every service has first: which use case it works for, loaded and checked.
    public mutating func useCase() -> UseCase? {
        value("VYUHA_USE_CASE", default: nil, "Name of a use case, or the path of its folder or file.") { text in
            try UseCase.load(text, environment: SettingsReader.processEnvironment())
        }
    }
}
