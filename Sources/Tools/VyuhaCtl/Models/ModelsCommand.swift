import Glibc
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl models list | show | diff | promote | challenge | rollback | delete | train`.
enum ModelsCommand {
    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let actions = [
            (name: "list", summary: "Lists the versions of each feature set."),
            (name: "show", summary: "Shows what the registry knows about one version, as text or JSON."),
            (name: "diff", summary: "Shows in what two versions differ."),
            (name: "promote", summary: "Makes a version the current one; the scoring service takes it over while it runs."),
            (name: "challenge", summary: "Makes a version the challenger, or withdraws the one there is."),
            (name: "rollback", summary: "Makes the version current that was so before."),
            (name: "delete", summary: "Deletes a version that is not the current one."),
            (name: "train", summary: "Fits new versions: the same as `trainer fit`, with its options."),
        ]
        let action = Action.take("models", actions, from: &arguments)
        if action == "train" { return try train(arguments) }
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let settings = Service.readSettings(
            "vyuhactl models \(action)", summary, arguments: arguments, switches: ModelsSettings.switches(action)
        ) { reader in ModelsSettings(&reader, action: action) }
        let registry = ModelRegistry(RedisClient(settings.redis), useCase: settings.facts.name)
        switch action {
        case "show": try show(settings, registry)
        case "diff": try diff(settings, registry)
        case "promote":
            let version = try settings.wanted("promote")
            try registry.promote(set: settings.set, version: version, now: Clock.milliseconds)
            print("\(settings.set): version \(version) is current.")
        case "challenge": try challenge(settings, registry)
        case "rollback":
            let version = try registry.rollback(set: settings.set, now: Clock.milliseconds)
            print("\(settings.set): version \(version) is current again.")
        case "delete":
            let version = try settings.wanted("delete")
            try registry.delete(set: settings.set, version: version)
            print("\(settings.set): version \(version) is deleted.")
        default: try list(settings, registry)
        }
    }

    private static func list(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        var table = TextTable(["feature set", "version", "stored", "detector", "rows", "bytes", "validation", ""], leftColumns: [0, 2, 3, 6, 7])
        for set in settings.facts.sets {
            let (current, challenger) = (try registry.currentVersion(set: set), try registry.challengerVersion(set: set))
            for model in try registry.versions(set: set) {
                let place = model.version == current ? "current" : model.version == challenger ? "challenger" : ""
                table.add([
                    set, "\(model.version)", Clock.iso8601(milliseconds: model.publishedAt), model.facts["detector"] ?? "-",
                    model.facts["rows"] ?? "-", StatusView.grouped(model.byteCount), ModelFacts.validation(model),
                    model.facts["worse_than_current"] == nil ? place : place.isEmpty ? "worse" : place + ", worse",
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
        if settings.asJSON { return print(ModelFacts.json(model, settings.facts.name).pretty) }
        let isCurrent = try registry.currentVersion(set: settings.set) == version
        let challenges = try registry.challengerVersion(set: settings.set) == version
        print("\(settings.facts.name)/\(model.set) version \(model.version)\(isCurrent ? ", current" : challenges ? ", challenger" : "")")
        for (name, value) in ModelFacts.lines(model) { print(StatusView.plainText("\(name): \(value)")) }
        for change in try registry.history(set: settings.set) where change.version == version {
            print("\(change.isRollback ? "rolled back to" : "promoted"): \(Clock.iso8601(milliseconds: change.at))")
        }
    }

    private static func diff(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        let first = try settings.wanted("compare")
        guard let second = try settings.other ?? registry.currentVersion(set: settings.set) else {
            throw CommandError("\(settings.set) has no current model to compare with. Give another version with --with N.")
        }
        let (one, two) = (try registry.metadata(set: settings.set, version: first), try registry.metadata(set: settings.set, version: second))
        let differences = ModelFacts.differences(one, two)
        guard !differences.isEmpty else { return print("\(settings.set): versions \(first) and \(second) differ in nothing that is known of them.") }
        var table = TextTable([settings.set, "version \(first)", "version \(second)"], leftColumns: [0, 1, 2])
        for (name, left, right) in differences { table.add([name, left, right]) }
        print(table.text)
    }

    private static func challenge(_ settings: ModelsSettings, _ registry: ModelRegistry) throws {
        if settings.withdraws {
            try registry.challenge(set: settings.set, version: nil, now: Clock.milliseconds)
            return print("\(settings.set): there is no challenger now.")
        }
        let version = try settings.wanted("make the challenger")
        try registry.challenge(set: settings.set, version: version, now: Clock.milliseconds)
        print("\(settings.set): version \(version) is the challenger.")
    }

    /// Becomes `trainer fit`.
    private static func train(_ arguments: [String]) throws {
        let program = try Executables.sibling("trainer")
        var pointers: [UnsafeMutablePointer<CChar>?] = ([program, "fit"] + arguments).map { strdup($0) }
        pointers.append(nil)
        execv(program, &pointers)
        throw CommandError("\(program) cannot be started: \(String(cString: strerror(errno))).")
    }
}

struct ModelsSettings {
    let facts: RunFacts
    let redis: RedisSettings
    let set: String
    let version: Int64?
    /// Of `diff`: the second version.
    let other: Int64?
    let asJSON: Bool
    /// Of `challenge`: takes the pointer away.
    let withdraws: Bool

    static func switches(_ action: String) -> Set<String> {
        switch action {
        case "show": ["--json"]
        case "challenge": ["--none"]
        default: []
        }
    }

    init?(_ reader: inout SettingsReader, action: String) {
        let useCase = reader.useCase()
        let redis = CommonSettings.redis(&reader)
        var (version, other): (Int?, Int?) = (nil, nil)
        if ["show", "diff", "promote", "challenge", "delete"].contains(action) {
            let help = action == "show" ? "Version; without it the current one." : "Version to \(action == "diff" ? "compare" : action)."
            version = reader.optionalInteger("--model-version", in: 1...Int.max, help)
        }
        if action == "diff" { other = reader.optionalInteger("--with", in: 1...Int.max, "Version to compare it with; without it the current one.") }
        asJSON = action == "show" && reader.toggle("--json", "Print JSON.")
        withdraws = action == "challenge" && reader.toggle("--none", "Withdraw the challenger.")
        let asked = action == "list" ? nil : reader.optionalString("--set", "Feature set; without it the first of the use case.")
        guard let useCase, let redis else { return nil }
        facts = RunFacts(useCase)
        self.redis = redis
        self.version = version.map { Int64($0) }
        self.other = other.map { Int64($0) }
        if let asked, !facts.sets.contains(asked) {
            reader.reject("--set: \(facts.name) has no feature set \"\(asked)\"; it has \(facts.sets.joined(separator: ", ")).")
        }
        set = asked ?? facts.sets.first ?? ""
    }

    func wanted(_ verb: String) throws(CommandError) -> Int64 {
        guard let version else { throw CommandError("Say which version to \(verb), with --model-version N.") }
        return version
    }
}
