import Features
import Foundation
import JSON
import TestSupport
import Testing
import UseCases

@Suite("A use case's definition")
struct UseCaseTests {
    @Test("every section is read")
    func sections() throws {
        let useCase = try UseCase.parse(sound, file: "folder/usecase.yaml")
        #expect(useCase.name == "test-case")
        #expect(useCase.title == "A test")
        #expect(useCase.partitions == 4)
        #expect(useCase.event.entity == "sensor")
        #expect(useCase.event.time == "at")
        #expect(useCase.event.schema.fields.map(\.type) == [.string, .timestamp, .number, .string, .number])
        #expect(useCase.event.schema.unknownFields == .reject)
        #expect(useCase.plan.sets.map(\.name) == ["reading"])
        #expect(useCase.plan.sets[0].features == ["value", "double_value", "long"])
        let source = FileFormat(
            file: "a.csv", delimiter: UInt8(ascii: ";"), columns: ["value": "val"], label: "truth", labelKind: "kind")
        #expect(useCase.source?.kind == .file(source))
        #expect(useCase.source?.rate == 100)
        var training = source
        training.file = "b.csv"
        #expect(useCase.training?.kind == .file(training))
        #expect(useCase.resolve("b.csv") == "folder/b.csv")
        #expect(useCase.resolve("/b.csv") == "/b.csv")
        #expect(useCase.detector.parameters.integer("trees") == 50)
        #expect(useCase.detector.features == ["value", "long"])
        #expect(useCase.detector.seed == 7)
        #expect(useCase.threshold.rule == .contamination(0.02))
        #expect(
            useCase.reply.members.map(\.value) == [
                .entity, .score, .field(2), .constant(Array("1".utf8)), .constant(Array("\"1\"".utf8)), .constant(Array("\"$score\"".utf8)),
                .constant(Array("null".utf8)),
            ])
        #expect(useCase.reply.members[0].key == JSONWriter.escapedKey("id"))
        #expect(useCase.status.anomaly == "BAD")
        #expect(useCase.alerts.policy.cooldown == 10_000)
        #expect(useCase.alerts.title.render { "<\($0)>" } == "<entity> {x}")
        #expect(useCase.alerts.text.parts == [.placeholder(.feature("value")), .text(" and "), .placeholder(.topFeatures)])
        #expect(useCase.baseline?.fieldIndex == 2)
        #expect(useCase.baseline?.direction == .down)
        #expect(useCase.metricPrefix == "test_case")
    }

    @Test("a reply can name the newest window and the anomaly's type")
    func windowAndType() throws {
        let useCase = try UseCase.parse(
            sound.replacing("source:\n", with: "  minute:\n    window: { length: 60s, slide: 10s }\n    mean: mean(value)\nsource:\n")
                .replacing("threshold:", with: "types: { high: [value, long], odd: [mean] }\nthreshold:")
                .replacing("reply: {", with: "reply: { from: $window_start, to: $window_end, type: $anomaly_type,"), file: "usecase.yaml")
        #expect(
            useCase.reply.members.prefix(3).map(\.value) == [
                .windowStart(length: 60_000, slide: 10_000), .windowEnd(length: 60_000, slide: 10_000), .anomalyType,
            ])
        #expect(useCase.types.map(\.name) == ["high", "odd"])
        #expect(useCase.types[0].features == ["value", "long"])
    }

    @Test("what may be left out has a default")
    func defaults() throws {
        let useCase = try UseCase.parse(
            """
            name: least
            event: { entity: e, time: t, fields: { e: integer, t: timestamp, x: number } }
            features: { all: { x: x } }
            detector: { name: isolation-forest }
            """, file: "usecase.yaml")
        #expect(useCase.title == "least")
        #expect(useCase.partitions == 32)
        #expect(useCase.source == nil)
        #expect(useCase.training == nil)
        #expect(useCase.threshold.rule == .contamination(0.01))
        #expect(useCase.reply.members.map(\.name) == ["entity", "score", "is_anomaly", "status"])
        #expect(useCase.alerts.policy.cooldown == 60_000)
        #expect(useCase.alerts.webhook == nil)
        #expect(useCase.metricPrefix == "least")
        #expect(useCase.baseline == nil)
    }

    @Test("a window, time rules and a simulator")
    func windows() throws {
        let useCase = try UseCase.parse(
            """
            name: windows
            event: { entity: e, time: t, unknown_fields: ignore, fields: { e: integer, t: timestamp, x: number } }
            time: { out_of_orderness: 5s, allowed_lateness: 10s, maximum_future: any, maximum_past: 7d, maximum_entities: 50 }
            features:
              minute: { window: { length: 60s, slide: 10s }, mean_x: mean(x) }
              tumbling: { window: { length: 1m }, n: count() }
              now: { per: event, x: x }
            source: { simulator: { name: battlefield, entities: 10, interval: 500ms, anomaly_rate: 0.1, seed: 3 } }
            training: { simulator: { seed: 4, duration: 20m } }
            detector: { name: isolation-forest }
            threshold: { false_alerts_per_entity_per_day: 1 }
            """, file: "usecase.yaml")
        #expect(useCase.plan.sets.map(\.scope) == [.window(length: 60_000, slide: 10_000), .window(length: 60_000, slide: 60_000), .event])
        #expect(
            useCase.plan.time
                == EventTimeRules(outOfOrderness: 5000, allowedLateness: 10_000, maximumFuture: nil, maximumPast: 7 * 86_400_000, maximumEntities: 50)
        )
        let source = SimulatorSource(name: "battlefield", entities: 10, interval: 500, anomalyRate: 0.1, seed: 3)
        #expect(useCase.source?.kind == .simulator(source))
        var training = source
        training.seed = 4
        #expect(useCase.training?.kind == .simulator(training, duration: 1_200_000))
        #expect(useCase.threshold.rule == .falseAlerts(perEntityPerDay: 1))
        #expect(useCase.event.schema.unknownFields == .ignore)
    }

    @Test("a window may be as long as its topic keeps events, with what `time` allows for late ones")
    func retention() throws {
        func load(_ time: String, _ length: String) throws -> UseCase {
            try UseCase.parse(
                """
                name: long
                event: { entity: e, time: t, fields: { e: integer, t: timestamp, x: number } }
                time: { \(time) }
                features:
                  day: { window: { length: \(length), slide: 1h }, n: count() }
                detector: { name: isolation-forest }
                """, file: "f")
        }
        #expect(try load("allowed_lateness: 1h", "167h").retention == nil)
        #expect(try load("allowed_lateness: 1h, retention: 30d", "719h").retention == 30 * 86_400_000)
        for (time, length, sentence) in [
            (
                "allowed_lateness: 1h", "168h",
                "open for 169h with what `time` allows for late events, but events are kept for 7d unless told otherwise;"
            ),
            ("retention: 1d, out_of_orderness: 1m", "24h", "open for 1441m with what `time` allows for late events, but events are kept for 1d;"),
        ] {
            let error = #expect(throws: UseCaseError.self) { try load(time, length) }
            #expect(error?.description.hasPrefix("f:5:28: A window of `day` is \(sentence)") == true, "\(error?.description ?? "")")
        }
        #expect(throws: UseCaseError.self) { try load("retention: 1s", "1h") }
    }

    @Test("the fingerprint follows the file's bytes")
    func fingerprint() throws {
        let one = try UseCase.parse(sound, file: "a.yaml")
        let elsewhere = try UseCase.parse(sound, file: "b.yaml")
        let other = try UseCase.parse(sound + "# more\n", file: "a.yaml")
        #expect(one.fingerprint == elsewhere.fingerprint)
        #expect(one.fingerprint != other.fingerprint)
        #expect(one.fingerprintText.count == 16)
    }

    @Test("the printed form names what counts")
    func printed() throws {
        let text = try UseCase.parse(sound, file: "a.yaml").description
        for part in [
            "name: test-case", "event: entity sensor, time at", "  value: number, degree, at least 0.0, at most 100.0",
            "  double_value = 2 * value", "source: a.csv, 100.0 events a second", "training: b.csv", "detector: isolation-forest, trees 50",
            "threshold: contamination 0.02", "alerts: by entity, wait 1s, interval 5m, repeat 4h, cooldown 10s", "baseline: value, down",
        ] { #expect(text.contains(part), "\(part) is missing in:\n\(text)") }
    }
}

@Suite("Finding a definition")
struct UseCaseLookupTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vyuha-uc-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("test-case"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(sound.utf8).write(to: folder.appendingPathComponent("test-case/usecase.yaml"))
        try body(folder.path)
    }

    @Test("a name is found in the named folder, a path is taken as it is")
    func found() throws {
        try Self.withFolder { folder throws in
            let environment = ["VYUHA_USECASES": folder]
            #expect(try UseCase.load("test-case", environment: environment).folder == folder + "/test-case")
            #expect(try UseCase.load(folder + "/test-case", environment: [:]).name == "test-case")
            #expect(try UseCase.load(folder + "/test-case/", environment: [:]).name == "test-case")
            #expect(try UseCase.load(folder + "/test-case/usecase.yaml", environment: [:]).name == "test-case")
            #expect(UseCase.names(environment: environment).contains("test-case"))
        }
    }

    @Test("a prefix comes before the name and nothing else of the definition changes")
    func prefix() throws {
        let plain = try UseCase.parse(sound, file: "/x/usecase.yaml")
        let shared = plain.named(under: "team-a")
        #expect(shared.name == "team-a." + plain.name && shared.definitionName == plain.name && shared.prefix == "team-a")
        #expect(shared.title == plain.title && shared.metricPrefix == plain.metricPrefix && shared.fingerprint == plain.fingerprint)
        #expect(plain.named(under: nil).name == plain.name && plain.definitionName == plain.name)
    }

    @Test("a name that is not found says where it was looked for, and what was probably meant")
    func missing() throws {
        try Self.withFolder { folder throws in
            let error = #expect(throws: UseCaseError.self) { try UseCase.load("test-csae", environment: ["VYUHA_USECASES": folder]) }
            let text = error?.description ?? ""
            #expect(
                text.hasPrefix(
                    "There is no use case `test-csae`; looked for \(folder)/test-csae/usecase.yaml, services/usecases/test-csae/usecase.yaml,"
                ))
            #expect(text.hasSuffix("Did you mean `test-case`?"))
        }
        let error = #expect(throws: UseCaseError.self) { try UseCase.load("/nonexistent/x.yaml", environment: [:]) }
        #expect(error?.description == "There is no use case `/nonexistent/x.yaml`; looked for /nonexistent/x.yaml/usecase.yaml.")
    }

    @Test("every definition of the repository is right and has the name of its folder")
    func ownDefinitions() throws {
        let folder = URL(filePath: repository + "/services/usecases")
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter {
            FileManager.default.fileExists(atPath: folder.appendingPathComponent("\($0)/usecase.yaml").path)
        }
        #expect(!names.isEmpty, "there is no definition in \(folder.path)")
        for name in names {
            let useCase = try UseCase.load(folder.appendingPathComponent(name).path, environment: [:])
            #expect(useCase.name == name)
            for case .file(let csv)? in [useCase.source?.kind] {
                #expect(FileManager.default.fileExists(atPath: useCase.resolve(csv.file)), "\(name) names \(csv.file)")
            }
            for case .file(let csv)? in [useCase.training?.kind] {
                #expect(FileManager.default.fileExists(atPath: useCase.resolve(csv.file)), "\(name) names \(csv.file)")
            }
        }
    }
}
