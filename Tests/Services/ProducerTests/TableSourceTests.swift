import Contracts
import Features
import Foundation
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import Producer
@testable import ServiceKit

/// A table of a real PostgreSQL as a source.
@Suite("A table as a source", .disabled(if: Postgres.isMissing, "PostgreSQL is not installed; services/scripts/setup.sh --tests installs it."))
struct TableSourceTests {
    private let server: SourceServer
    private let service = Service(
        name: "producer", log: Logger(service: "producer", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())

    init() throws {
        let server = try Postgres.start()
        try #require(try withDeadline(60) { try Postgres.run("SELECT 1", on: server) == 0 })
        self.server = server
    }

    private static func schema(_ type: FieldType) throws -> EventSchema {
        try EventSchema(
            fields: [
                EventField("at", .timestamp, format: .iso8601), EventField("pump", .string), EventField("value", type, isRequired: false),
            ], entity: "pump", time: "at")
    }

    private func source(_ type: FieldType = .number, batch: Int = 2, key: String = "id") throws -> TableSource {
        var table = PolledTable(connection: Postgres.address(of: server), table: "public.t", watermark: "seen", key: key)
        table.batch = batch
        table.interval = 20
        return try TableSource(table, address: table.connection, schema: Self.schema(type), service: service)
    }

    /// The events and dead letters that come until there are so many, or none for a while.
    private func take(_ source: TableSource, _ count: Int, _ type: FieldType = .number, within seconds: Double = 10) throws -> [String] {
        var rows: [String] = []
        _ = try withDeadline(seconds) {
            while rows.count < count {
                switch try source.next() {
                case .event: rows.append(try source.json(Self.schema(type)))
                case .unmappable(let reason, let sentence):
                    rows.append("\(reason.rawValue): \(sentence) \(String(decoding: source.raw, as: UTF8.self))")
                case .idle, nil: return false
                }
            }
            return true
        }
        return rows
    }

    @Test("each type becomes the value that its field asks for")
    func types() throws {
        #expect(
            try Postgres.run(
                """
                CREATE TYPE mode AS ENUM ('idle', 'run');
                CREATE DOMAIN bar AS numeric CHECK (VALUE > 0);
                ALTER DATABASE postgres SET datestyle = 'German'; ALTER DATABASE postgres SET timezone = 'Europe/Berlin';
                ALTER DATABASE postgres SET intervalstyle = 'postgres'; ALTER DATABASE postgres SET bytea_output = 'escape';
                """, on: server) == 0)
        let cases: [(type: String, literal: String, field: FieldType, becomes: String)] = [
            ("boolean", "true", .boolean, "true"), ("boolean", "false", .boolean, "false"), ("boolean", "NULL", .boolean, ""),
            ("smallint", "-7", .integer, "-7"), ("bigint", "9007199254740993", .string, #""9007199254740993""#),
            ("numeric(12,4)", "12.5000", .number, "12.5"), ("numeric", "1e20", .number, "1e+20"), ("bar", "3", .number, "3"),
            ("real", "0.1", .number, "0.1"), ("double precision", "0.1", .number, "0.1"), ("double precision", "'NaN'", .number, #""NaN""#),
            ("money", "'-1234.50'", .number, "-1234.5"), ("text", "'Prüfstand'", .string, #""Prüfstand""#), ("char(6)", "'run'", .string, #""run""#),
            ("mode", "'run'", .string, #""run""#),
            ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", .string, #""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#),
            ("bytea", #"'\x01ff'"#, .string, #""\\x01ff""#), ("date", "'2026-10-25'", .timestamp, #""2026-10-25""#),
            ("timestamp", "'2026-10-25 02:30:00.5'", .timestamp, #""2026-10-25T02:30:00.5""#),
            ("timestamptz", "'2026-10-25 02:30:00.123456+02'", .timestamp, #""2026-10-25T00:30:00.123456Z""#),
            ("timestamptz", "'infinity'", .timestamp, #""infinity""#), ("time", "'10:20:30'", .string, #""10:20:30""#),
            ("interval", "'1 day 02:03:04.5'", .number, "93784.5"), ("interval", "'-1 mon 1 day'", .number, "-2505600"),
            ("interval", "'0'", .number, "0"),
            ("json", #"'{"a": 1}'"#, .string, #""{\"a\": 1}""#), ("jsonb", "'5.5'", .number, "5.5"), ("jsonb", #"'"idle"'"#, .string, #""idle""#),
            ("jsonb", "'null'", .string, ""), ("jsonb", "'true'", .boolean, "true"), ("integer[]", "'{1,NULL,-3}'", .string, #""[1,null,-3]""#),
            ("boolean[]", "'{t,f}'", .string, #""[true,false]""#), ("text[]", #"'{a,"b \"c\", d",NULL,{}}'"#, .string, ""),
            ("text[]", #"ARRAY['a', 'b "c", d', 'NULL']"#, .string, #""[\"a\",\"b \\\"c\\\", d\",\"NULL\"]""#),
            ("double precision[]", "'{{1.5,2},{3,4}}'", .string, #""[[1.5,2],[3,4]]""#), ("inet", "'10.0.0.1'", .string, #""10.0.0.1""#),
        ]
        for item in cases where !item.literal.contains(",{}}") {
            #expect(
                try Postgres.run(
                    """
                    DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, seen int NOT NULL, at timestamptz, pump text, value \(item.type));
                    INSERT INTO t VALUES (1, 1, '2026-11-01 10:00:00Z', 'p', \(item.literal))
                    """, on: server) == 0, "\(item.type)")
            let value = item.becomes.isEmpty ? "" : #","value":\#(item.becomes)"#
            let rows = try take(source(item.field), 1, item.field)
            #expect(rows == [#"{"at":"2026-11-01T10:00:00Z","pump":"p"\#(value)}"#], "\(item.type) \(item.literal)")
        }
    }

    @Test("a row without a key or a watermark is a dead letter, once; every other row comes, also over restarts")
    func nulls() throws {
        #expect(
            try Postgres.run(
                """
                CREATE TABLE t(id bigint, seen timestamptz, at timestamptz DEFAULT '2026-11-01 10:00:00Z', pump text DEFAULT 'p', value int);
                INSERT INTO t(id, seen, value) VALUES (1, '2026-11-01 10:00:01Z', 1), (NULL, '2026-11-01 10:00:02Z', 2), (NULL, '2026-11-01 10:00:02Z', 3),
                    (NULL, '2026-11-01 10:00:02Z', 4), (5, '2026-11-01 10:00:02Z', 5), (6, '2026-11-01 10:00:03Z', 6), (7, NULL, 7), (8, NULL, 8),
                    (NULL, NULL, 9), (NULL, NULL, 10), (11, '2026-11-01 10:00:04Z', 11)
                """, on: server) == 0)
        // One row a time, each time by another process.
        var position = SourcePosition()
        var rows: [String] = []
        var ids: [String] = []
        for _ in 0..<11 {
            let source = try source(batch: 3)
            source.resume(at: PositionStore.decode(PositionStore.encode(position, source: "t")) ?? SourcePosition())
            rows += try take(source, 1)
            ids.append(source.idText)
            position = source.position
        }
        let events = rows.filter { $0.hasPrefix("{") }
        #expect(events == [1, 5, 6, 11].map { #"{"at":"2026-11-01T10:00:00Z","pump":"p","value":\#($0)}"# })
        let letters = rows.filter { $0.hasPrefix("missing-field") }
        for value in [2, 3, 4] { #expect(letters.contains { $0.contains("key `id` is NULL") && $0.contains(#""value":"\#(value)""#) }, "\(letters)") }
        for value in 7...10 {
            #expect(letters.contains { $0.contains("watermark `seen` is NULL") && $0.contains(#""value":"\#(value)""#) }, "\(letters)")
        }
        #expect(rows.count == 11)
        #expect(Set(ids).count == 11, "\(ids)")
        let last = try source()
        last.resume(at: position)
        #expect(try take(last, 1, within: 0.3).isEmpty)
        #expect(
            try Postgres.run("INSERT INTO t(id, seen, value) VALUES (NULL, '2026-11-01 10:00:04Z', 12), (13, '2026-11-01 10:00:05Z', 13)", on: server)
                == 0)
        #expect(try take(last, 2).last == #"{"at":"2026-11-01T10:00:00Z","pump":"p","value":13}"#)
    }

    @Test("a server that is away is waited for, and said to be")
    func away() throws {
        var table = PolledTable(connection: "host=127.0.0.1 port=\(try freePort()) user=vyuha", table: "t", watermark: "seen", key: "id")
        table.interval = 20
        let source = try TableSource(table, address: table.connection, schema: Self.schema(.number), service: service)
        #expect(withDeadline(10) { (try? source.next()) == .idle && service.life.trouble?.contains("does not answer") == true })
    }
}
