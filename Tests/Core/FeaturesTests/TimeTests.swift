import Features
import Foundation
import Testing
import Text

@Suite("Timestamps")
struct TimeTests {
    static let good: [(String, Int64)] = [
        ("1970-01-01", 0), ("1970-01-01T00:00", 0), ("1970-01-01T00:00:00Z", 0), ("1970-01-01 00:00:00.001", 1),
        ("1970-01-01T00:00:00.0019Z", 1), ("1969-12-31T23:59:59.9Z", -100), ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T18:30:00-0530", 0),
        ("1970-01-01T01:00:00,5+01", 500), ("2024-02-29t12:00:00z", 1_709_208_000_000), ("1900-01-01", -2_208_988_800_000),
        ("2000-02-29", 951_782_400_000),
    ]

    @Test("ISO 8601 is read", arguments: good)
    func readsISO(_ text: String, _ expected: Int64) { #expect(ISO8601.parse(text) == expected) }

    @Test(
        "what is not ISO 8601 or absurd is refused",
        arguments: [
            "", "1970", "1970-1-1", "1970-01-32", "2023-02-29", "1900-02-29", "1970-13-01", "1970-00-01", "1970-01-01T", "1970-01-01T24:00",
            "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01T00:00:00.", "1970-01-01T00:00:00+2", "1970-01-01T00:00:00+25:00",
            "1970-01-01T00:00:00Zx", " 1970-01-01", "1899-12-31T23:59:59Z", "2201-01-01", "٢٠٢٦-01-01", "1970-01-01  00:00", "+1970-01-01",
        ])
    func refusesISO(_ text: String) { #expect(ISO8601.parse(text) == nil) }

    @Test("a written timestamp is read back")
    func roundTrips() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            let time = Int64.random(in: -2_208_988_800_000..<7_289_654_400_000, using: &random)
            #expect(ISO8601.parse(ISO8601.format(time)) == time)
        }
    }

    @Test(
        "time zones agree with Foundation from 1900 to 2200",
        arguments: [
            "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca",
            "Europe/Dublin",
            "Asia/Gaza", "Pacific/Apia", "UTC", "America/Nuuk",
        ])
    func agreesWithFoundation(_ name: String) throws {
        let rules = try #require(zone(name))
        let reference = try #require(TimeZone(identifier: name))
        var random = SplitMix64(seed: 11)
        for i in 0..<4000 {
            // Foundation writes a zone's rule out to 2037; beyond that the calendar repeats every 400 years, and every 28 in between.
            let time = Int64.random(in: -2_208_988_800_000..<2_145_916_800_000, using: &random)
            let offset = reference.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time / 1000)))
            #expect(rules.offset(atUTC: time / 1000 * 1000) == Int64(offset) * 1000, "\(name) \(ISO8601.format(time)) \(i)")
        }
    }

    @Test(
        "time functions agree with Foundation's calendar, also around changes of the clock",
        arguments: ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"])
    func agreesWithCalendar(_ name: String) throws {
        let functions = ["hour", "minute", "weekday", "day", "month", "day_of_year"]
        let schema = try plainSchema()
        let set = FeatureSetDefinition(name: "s", features: functions.map { FeatureDefinition($0 + "_", "\($0)(t, \"\(name)\")") })
        let evaluator = FeatureEvaluator(plan: try FeaturePlan(schema: schema, sets: [set], zones: zone), set: 0)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: name))
        var random = SplitMix64(seed: 13)
        var vector: [Double] = []
        let spring = try #require(ISO8601.parse("2026-03-08T07:00:00Z"))
        for i in 0..<400 as Range<Int64> {
            // Half of them in the hours around a change in New York, the rest anywhere from 1931 to 2037.
            let time = i < 200 ? spring + (i - 100) * 120_000 : Int64.random(in: -1_230_000_000..<2_145_000_000, using: &random) * 1000
            var row = schema.fields.map { _ in Double.nan }
            row[1] = Double(time)
            evaluator.compute(row, into: &vector)
            let date = Date(timeIntervalSince1970: Double(time) / 1000)
            let parts = calendar.dateComponents([.hour, .minute, .weekday, .day, .month], from: date)
            let dayOfYear = calendar.ordinality(of: .day, in: .year, for: date) ?? 0
            let expected = [
                parts.hour ?? -1, parts.minute ?? -1, ((parts.weekday ?? 0) + 5) % 7, parts.day ?? -1, parts.month ?? -1, dayOfYear,
            ].map(Double.init)
            #expect(vector == expected, "\(name) \(ISO8601.format(time))")
        }
    }

    @Test("daylight saving goes on after the last transition of the file")
    func extendsRules() throws {
        let rules = try #require(zone("America/New_York"))
        #expect(rules.offset(atUTC: try #require(ISO8601.parse("2150-07-01T12:00:00Z"))) == -4 * 3_600_000)
        #expect(rules.offset(atUTC: try #require(ISO8601.parse("2150-01-01T12:00:00Z"))) == -5 * 3_600_000)
    }

    @Test("broken zone files are refused, whatever the bytes")
    func refusesZoneFiles() throws {
        let data = [UInt8](try #require(FileManager.default.contents(atPath: "/usr/share/zoneinfo/Europe/Berlin")))
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(name: "x", tzif: []) }
        for length in Swift.stride(from: 0, to: data.count - 1, by: 37) {
            _ = try? TimeZoneRules(name: "x", tzif: Array(data[..<length]))
        }
        var random = SplitMix64(seed: 5)
        for _ in 0..<2000 {
            var bytes = data
            for _ in 0..<4 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            _ = try? TimeZoneRules(name: "x", tzif: bytes)
        }
    }

    static let patterns: [(String, String, String, String?)] = [
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "UTC", "2000-10-10T20:55:36.000Z"),
        ("%Y-%m-%d %H:%M:%S", "2026-07-01 12:00:00", "America/New_York", "2026-07-01T16:00:00.000Z"),
        ("%Y-%m-%d %H:%M:%S", "2026-03-08 02:30:00", "America/New_York", nil),
        ("%Y-%m-%d %H:%M:%S", "2026-11-01 01:30:00", "America/New_York", "2026-11-01T05:30:00.000Z"),
        ("%m/%d/%y %I:%M %p", "7/4/26 12:05 AM", "UTC", "2026-07-04T00:05:00.000Z"),
        ("%m/%d/%y %I:%M %p", "7/4/70 12:05 pm", "UTC", "1970-07-04T12:05:00.000Z"),
        ("%Y%j", "2024366", "UTC", "2024-12-31T00:00:00.000Z"),
        ("%Y%j", "2023366", "UTC", nil),
        ("%s.%f", "-1.25", "UTC", "1969-12-31T23:59:59.250Z"),
        ("%b %e %Y %%", "Feb  9 2026 %", "UTC", "2026-02-09T00:00:00.000Z"),
        ("%Y-%m-%d", "2026-02-30", "UTC", nil),
        ("%Y-%m-%d", "2026-02-03 ", "UTC", nil),
        ("%Y-%m-%d %H:%M:%S", "2026-11-01 01:30:00 -05:00", "America/New_York", "2026-11-01T06:30:00.000Z"),
        ("%Y-%m-%d %H:%M:%S", "2026-11-01 01:30:00 EST", "America/New_York", nil),
    ]

    @Test("patterns are read in their zone", arguments: patterns)
    func readsPatterns(_ pattern: String, _ text: String, _ zoneName: String, _ expected: String?) throws {
        let rules = zoneName == "UTC" ? TimeZoneRules.utc : try #require(zone(zoneName))
        let schema = try EventSchema(
            fields: [EventField("id", .string), EventField("t", .timestamp, format: .pattern(try TimestampPattern(pattern), zone: rules))],
            entity: "id", time: "t")
        let result = decode(schema, #"{"id":"a","t":"\#(text)"}"#)
        #expect((try? result.get()).map { ISO8601.format(Int64($0[1])) } == expected)
    }

    @Test("only a time of the hour that is repeated has a repetition, an hour later")
    func repetition() throws {
        let paris = try #require(zone("Europe/Paris"))
        func time(_ text: String) throws -> Int64 { try #require(ISO8601.parse(text)) }
        #expect(paris.repetition(of: try time("2026-10-24T23:59:59Z")) == nil)
        #expect(paris.repetition(of: try time("2026-10-25T00:00:00Z")) == (try time("2026-10-25T01:00:00Z")))
        #expect(paris.repetition(of: try time("2026-10-25T00:59:59Z")) == (try time("2026-10-25T01:59:59Z")))
        #expect(paris.repetition(of: try time("2026-10-25T01:00:00Z")) == nil)
        #expect(paris.repetition(of: try time("2026-03-29T01:30:00Z")) == nil)
        #expect(TimeZoneRules.utc.repetition(of: 0) == nil)
    }
}
