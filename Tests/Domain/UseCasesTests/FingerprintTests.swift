import Features
import TestSupport
import Testing
import UseCases

/// Stored snapshots carry the fingerprint of the plan that made them. The values are those of version 0.1.0: another one for the same definition would
/// refuse every snapshot in the field. (nyc-taxi has been another definition since it reads the public files.)
@Suite struct FingerprintTests {
    @Test(arguments: [
        ("battlefield", 6_653_073_579_894_262_797 as UInt64), ("iot-sensors", 5_530_359_861_465_188_880),
        ("nyc-taxi", 16_541_090_765_426_706_599), ("server-logs", 1_083_980_065_832_932_053),
    ])
    func `a built-in definition keeps the fingerprint of its plan`(name: String, expected: UInt64) throws {
        let found = try UseCase.load(repository + "/services/usecases/\(name)", environment: [:]).plan.fingerprint
        #expect(found == expected)
    }

    private static let schema = Result {
        try EventSchema(
            fields: [
                EventField("pump", .string), EventField("at", .timestamp, format: .epochMilliseconds),
                EventField("state", .string, isRequired: false, defaultValue: .string("on")),
            ], entity: "pump", time: "at")
    }

    private func fingerprint(_ scope: FeatureScope, _ time: EventTimeRules, _ absence: SilenceRules?) throws -> UInt64 {
        try FeaturePlan(
            schema: Self.schema.get(), sets: [FeatureSetDefinition(name: "minute", scope: scope, features: [FeatureDefinition("n", "count()")])],
            time: time, silence: absence
        ).fingerprint
    }

    @Test func `rules about absence keep theirs, each kind of them`() throws {
        let window = FeatureScope.window(length: 60_000, slide: 10_000)
        let declared = SilenceRules(
            interval: .declared(5_000), missedIntervals: 2.5, flappingCount: 4, flappingPeriod: 60_000,
            stuck: [.init(field: "state", after: 1_000), .init(field: "pump", after: 0, events: 9)])
        let time = EventTimeRules(outOfOrderness: 1, allowedLateness: 2, closeSpread: 3, maximumFuture: nil, maximumEntities: 4)
        #expect(try fingerprint(window, EventTimeRules(), declared) == 13_908_643_100_333_865_139)
        #expect(try fingerprint(window, time, SilenceRules(interval: .learned)) == 5_659_057_083_384_099_382)
        #expect(try fingerprint(window, time, SilenceRules()) == 3_535_396_597_022_642_239)
    }
}
