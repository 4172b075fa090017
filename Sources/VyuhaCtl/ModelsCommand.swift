import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl models list | show | promote | rollback`.
enum ModelsCommand {
    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let actions = [
            (name: "list", summary: "Lists the versions of each feature set."),
            (name: "show", summary: "Shows what the registry knows about one version."),
            (name: "promote", summary: "Makes a version the current one; the scoring service takes it over while it runs."),
            (name: "rollback", summary: "Makes the version current that was so before."),
        ]
        let action = Action.take("models", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let settings = Service.readSettings("vyuhactl models \(action)", summary, arguments: arguments) { reader in
            ModelsSettings(&reader, action: action)
        }
        let registry = ModelRegistry(RedisClient(settings.redis), useCase: settings.facts.name)
        switch action {
        case "show": try show(settings, registry)
        case "promote": try promote(settings, registry)
        case "rollback":
            let version = try registry.rollback(set: settings.set, now: Clock.milliseconds)
            print("\(settings.set): version \(version) is current again.")
        default: try list(settings, registry)
        }
    }

    private static func list(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        var table = TextTable(["feature set", "version", "stored", "detector", "rows", "bytes", ""], leftColumns: [0, 2, 3, 6])
        for set in settings.facts.sets {
            let current = try registry.currentVersion(set: set)
            for model in try registry.versions(set: set) {
                table.add([
                    set, "\(model.version)", Clock.iso8601(milliseconds: model.publishedAt), model.facts["detector"] ?? "-",
                    model.facts["rows"] ?? "-",
                    StatusView.grouped(model.byteCount), model.version == current ? "current" : "",
                ])
            }
        }
        print(table.text)
    }

    private static func show(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        guard let version = try settings.version ?? registry.currentVersion(set: settings.set) else {
            throw CommandError("\(settings.set) has no current model. Store one with `trainer fit`.")
        }
        let model = try registry.metadata(set: settings.set, version: version)
        let isCurrent = try registry.currentVersion(set: settings.set) == version
        print("\(settings.facts.name)/\(model.set) version \(model.version)\(isCurrent ? ", current" : "")")
        print("stored   \(Clock.iso8601(milliseconds: model.publishedAt))")
        print("bytes    \(StatusView.grouped(model.byteCount))")
        print("sha-256  \(model.sha256)")
        for (name, value) in model.facts.sorted(by: { $0.key < $1.key }) { print(StatusView.plainText("\(name): \(value)")) }
    }

    private static func promote(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        guard let version = settings.version else { throw CommandError("Say which version to promote, with --model-version N.") }
        try registry.promote(set: settings.set, version: version, now: Clock.milliseconds)
        print("\(settings.set): version \(version) is current.")
    }
}

private struct ModelsSettings {
    let facts: RunFacts
    let redis: RedisSettings
    let set: String
    let version: Int64?

    init?(_ reader: inout SettingsReader, action: String) {
        let useCase = reader.useCase()
        let redis = CommonSettings.redis(&reader)
        var version: Int?
        if action == "show" || action == "promote" {
            let help = action == "show" ? "Version; without it the current one." : "Version to make current."
            version = reader.optionalInteger("--model-version", in: 1...Int.max, help)
        }
        let asked = action == "list" ? nil : reader.optionalString("--set", "Feature set; without it the first of the use case.")
        guard let useCase, let redis else { return nil }
        facts = RunFacts(useCase)
        self.redis = redis
        self.version = version.map { Int64($0) }
        if let asked, !facts.sets.contains(asked) {
            reader.reject("--set: \(facts.name) has no feature set \"\(asked)\"; it has \(facts.sets.joined(separator: ", ")).")
        }
        set = asked ?? facts.sets.first ?? ""
    }
}
