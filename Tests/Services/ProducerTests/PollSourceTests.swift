import Contracts
import Features
import Foundation
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import Producer
@testable import ServiceKit

/// An HTTP source against servers that answer as real ones do.
@Suite("An API as a source")
final class PollSourceTests {
    /// Alive as long as the test.
    private var servers: [ScriptedServer] = []
    private let service = Service(
        name: "producer", log: Logger(service: "producer", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())

    private static func reading(_ fare: Int) -> String { #"{"at":"2026-11-01T10:00:00Z","zone":\#(fare % 7),"fare":\#(fare)}"# }
    private static func list(_ fares: Range<Int>) -> String { "[" + fares.map(reading).joined(separator: ",") + "]" }

    private func source(
        _ server: ScriptedServer, interval: Int64 = 20, _ change: (inout PolledAPI) -> Void = { _ in }
    ) throws -> PollSource {
        servers.append(server)
        var api = PolledAPI(url: server.url)
        api.interval = interval
        change(&api)
        return try PollSource(api, schema: Sample.schema(), service: service)
    }

    private struct Row: Equatable {
        var id: String
        /// The event, or the reason and sentence of a dead letter.
        var text: String
    }

    /// The rows that come until there are so many, or none for a while.
    private func take(_ source: PollSource, _ count: Int, within seconds: Double = 10) throws -> [Row] {
        var rows: [Row] = []
        _ = try withDeadline(seconds) {
            while rows.count < count {
                switch try source.next() {
                case .event: rows.append(Row(id: source.idText, text: try source.json(Sample.schema())))
                case .unmappable(let reason, let sentence): rows.append(Row(id: source.idText, text: "\(reason.rawValue): \(sentence)"))
                case .idle, nil: return false
                }
            }
            return true
        }
        return rows
    }

    private var failures: Int64 {
        Int64(service.metrics.counter("vyuha_source_failures_total", "Questions that had no usable answer and are asked again.").value)
    }

    /// Asks for one answer that the server gives to everything, and looks at what becomes of it.
    private func rows(of body: [UInt8], _ fields: [String] = ["Content-Type: application/json"], _ count: Int) throws -> [Row] {
        let server = try ScriptedServer { _, _ in ScriptedServer.answer(body, fields) }
        return try take(source(server), count)
    }

    // MARK: How often

    @Test("without pages the interval lies between any two questions, also where each answer is new")
    func interval() throws {
        let server = try ScriptedServer { number, _ in ScriptedServer.answer(Self.list(number..<number + 1)) }
        let rows = try take(source(server, interval: 150), 5)
        #expect(rows.count == 5)
        let times = server.seen.map(\.time)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 > 0.14 }, "\(times)")
    }

    @Test("with a cursor the pages come at once, and behind the last one the interval begins")
    func intervalBehindPages() throws {
        let server = try ScriptedServer { _, request in
            let page = Int(request.target.split(separator: "=").last ?? "") ?? 0
            let next = page < 3 ? "\(page + 1)" : "null"
            return ScriptedServer.answer(#"{"items":\#(Self.list(page..<page + 1)),"next":\#(next)}"#)
        }
        let source = try source(server, interval: 60_000) {
            $0.records = "items"
            $0.pagination = .cursor(parameter: "after", path: "next")
        }
        #expect(try take(source, 4).count == 4)
        #expect(try take(source, 1, within: 0.3).isEmpty)
        #expect(server.seen.map(\.target) == ["/readings", "/readings?after=1", "/readings?after=2", "/readings?after=3"])
    }

    // MARK: Pages whose address is named

    @Test(
        "the next page's address is followed, whether a field of the answer or the header has it, absolute or relative",
        arguments: [
            (PolledAPI.Pagination.next(path: "next"), "next", "/readings?page="),
            (.next(path: "@odata.nextLink"), "@odata.nextLink", "http://127.0.0.1:PORT/readings?page="),
            (.cursor(parameter: "page", path: "next"), "next", "http://127.0.0.1:PORT/readings?page="),
            (.cursor(parameter: "page", path: "next"), "next", "/readings?page="),
            (.next(path: "next"), "next", "readings?page="), (.next(path: "next"), "next", "?page="),
            (.link(relation: "next"), "", "/readings?page="), (.link(relation: "next"), "", "http://127.0.0.1:PORT/readings?page="),
        ])
    func addresses(pagination: PolledAPI.Pagination, field: String, link: String) throws {
        let server = try ScriptedServer { _, request in
            let page = Int(request.target.split(separator: "=").last ?? "") ?? 0
            let port = request.head.split(separator: "\r\n").first { $0.hasPrefix("Host:") }?.split(separator: ":").last.map(String.init) ?? ""
            let next = link.replacing("PORT", with: port) + "\(page + 1)"
            let more = field.isEmpty || page == 3 ? "" : #","\#(field)":"\#(next)""#
            let fields = field.isEmpty && page < 3 ? ["Link: <\(next)>; title=\"a, b\"; rel=\"last next\", </x>; rel=prev"] : []
            return ScriptedServer.answer(#"{"value":\#(Self.list(page * 2..<page * 2 + 2))\#(more)}"#, fields)
        }
        let source = try source(server) {
            $0.records = "value"
            $0.pagination = pagination
        }
        let rows = try take(source, 8)
        #expect(rows.map(\.text) == (0..<8).map(Self.event))
        #expect(Set(rows.map(\.id)).count == 8)
        #expect(!rows.contains { $0.id.contains("page=") }, "an address has no place in an id")
        // A restart goes on behind the last record.
        let again = try self.source(server) {
            $0.records = "value"
            $0.pagination = pagination
        }
        again.resume(at: source.position)
        #expect(try take(again, 1, within: 0.3).isEmpty)
    }

    private static func event(_ fare: Int) -> String { #"{"at":"2026-11-01T10:00:00Z","zone":\#(fare % 7),"fare":\#(fare)}"# }

    @Test("a next page on another server is refused by name, and the records before it come")
    func otherServer() throws {
        let server = try ScriptedServer { _, _ in
            ScriptedServer.answer(#"{"items":\#(Self.list(0..<1)),"next":"https://elsewhere.example/x?token=secret"}"#)
        }
        let source = try source(server) {
            $0.records = "items"
            $0.pagination = .next(path: "next")
        }
        let error = #expect(throws: SourceError.self) { try take(source, 2) }
        #expect(error?.description.contains("https://elsewhere.example/x") == true)
        #expect(error?.description.contains("secret") == false)
    }

    // MARK: What answers are made of

    @Test("a byte-order mark, gzip with its header and without, and other charsets are read")
    func encodings() throws {
        let text = #"[{"at":"2026-11-01T10:00:00Z","zone":1,"fare":5,"note":"Prüfstand"}]"#
        let right = [#"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":5,"note":"Prüfstand"}"#]
        func texts(_ body: [UInt8], _ fields: [String]) throws -> [String] {
            defer { #expect(failures == 0, "\(fields) \(service.life.trouble ?? "")") }
            return try rows(of: body, fields, 1).map(\.text)
        }
        let utf8 = Array(text.utf8)
        #expect(try texts([0xEF, 0xBB, 0xBF] + utf8, []) == right)
        let gzip = try packed(utf8)
        #expect(try texts(gzip, ["Content-Encoding: gzip"]) == right)
        #expect(try texts(gzip, ["Content-Type: application/gzip"]) == right)
        let latin = text.unicodeScalars.map { UInt8($0.value) }
        #expect(try texts(latin, ["Content-Type: application/json; charset=ISO-8859-1"]) == right)
        #expect(try texts(latin, ["Content-Type: application/json; Charset=\"windows-1252\""]) == right)
        let wide: [UInt8] = text.utf16.reduce(into: [0xFF, 0xFE]) { $0 += [UInt8($1 & 0xFF), UInt8($1 >> 8)] }
        #expect(try texts(wide, []) == right)
    }

    private func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        let folder = try Folder()
        try Data(bytes).write(to: URL(filePath: folder.path + "/x"))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/gzip")
        process.arguments = [folder.path + "/x"]
        try process.run()
        process.waitUntilExit()
        return Array(try Data(contentsOf: URL(filePath: folder.path + "/x.gz")))
    }

    @Test("one record that is no JSON, as Python's NaN or a text that is not UTF-8 makes it, is a dead letter; the others are events")
    func badRecord() throws {
        let nan = #"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":NaN}"#
        let latin = Array(#"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":2,"note":"Pr"#.utf8) + [0xFC] + Array(#"fung"}"#.utf8)
        let body = Array("[\(Self.reading(1)),\n\(nan),\n".utf8) + latin + Array(",\n7,\(Self.reading(3))]".utf8)
        let rows = try rows(of: body, [], 5)
        #expect(
            rows.map(\.text) == [
                Self.event(1), "malformed: NaN is no JSON value, at byte 45.", "malformed: The text is not UTF-8, at byte 57.",
                "not-an-object: This is JSON, but not an object.", Self.event(3),
            ])
        #expect(failures == 0)
    }

    @Test(
        "what cannot be used is asked for again, with a sentence that says why, until it can",
        arguments: [
            ("<!DOCTYPE html><html><body>Log in</body></html>", "It is HTML or XML"), ("", "It ends too early"),
            (#"[{"at":"2026-11-01T10:0"#, "does not end"), (#"{"error":"try later"}"#, "has no list at `items`"),
            (#"{"items":null}"#, "has no list at `items`"),
        ])
    func unusable(body: String, why: String) throws {
        let server = try ScriptedServer { number, _ in
            number < 3 ? ScriptedServer.answer(body) : ScriptedServer.answer(#"{"items":\#(Self.list(0..<2))}"#)
        }
        let source = try source(server) { $0.records = "items" }
        #expect(try source.next() == .idle)
        #expect(withDeadline(10) { (try? source.next()) != nil && service.life.trouble != nil })
        #expect(service.life.trouble?.contains(why) == true, "\(service.life.trouble ?? "")")
        #expect(try take(source, 2).map(\.text) == [Self.event(0), Self.event(1)])
        #expect(failures == 3)
        #expect(service.life.trouble == nil)
    }

    @Test("an unknown charset and damaged gzip are named")
    func undecodable() throws {
        let server = try ScriptedServer { number, _ in
            number < 3
                ? ScriptedServer.answer("[]", ["Content-Type: application/json; charset=koi8-r"])
                : ScriptedServer.answer([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + Array(repeating: 0xFF, count: 40), ["Content-Encoding: gzip"])
        }
        let source = try source(server)
        #expect(withDeadline(10) { (try? source.next()) != nil && service.life.trouble?.contains("koi8-r") == true })
        #expect(withDeadline(10) { (try? source.next()) != nil && service.life.trouble?.contains("expanded") == true })
    }

    @Test("204 and 304 are nothing new: no failure, and asked again after the interval", arguments: [204, 304])
    func nothingNew(status: Int) throws {
        let server = try ScriptedServer { number, _ in
            number == 1 ? ScriptedServer.answer("", status: status, []) : ScriptedServer.answer(Self.list(number..<number + 1), ["ETag: \"a\""])
        }
        let source = try source(server, interval: 100)
        #expect(try take(source, 2).map(\.text) == [Self.event(0), Self.event(2)])
        let times = server.seen.map(\.time)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 > 0.09 }, "\(times)")
        #expect(failures == 0)
    }

    @Test("a redirect on the same server is followed, one to another server ends with a sentence that names it")
    func redirects() throws {
        let server = try ScriptedServer { _, request in
            request.target.hasPrefix("/new")
                ? ScriptedServer.answer(Self.list(0..<1)) : ScriptedServer.answer("", status: 302, ["Location: /new/readings"])
        }
        #expect(try take(source(server), 1).map(\.text) == [Self.event(0)])
        let other = try ScriptedServer { _, _ in ScriptedServer.answer("", status: 301, ["Location: https://other.example/r?key=secret"]) }
        let error = #expect(throws: SourceError.self) { try take(source(other), 1) }
        #expect(error?.description.contains("301") == true)
        #expect(error?.description.contains("https://other.example/r") == true)
        #expect(error?.description.contains("secret") == false)
    }

    @Test("a stop in the middle of a question is no error")
    func stop() throws {
        let server = try ScriptedServer { _, _ in
            Thread.sleep(forTimeInterval: 3)
            return nil
        }
        let source = try source(server)
        let life = service.life
        Thread.detachNewThread {
            _ = withDeadline(10) { !server.seen.isEmpty }
            life.stop()
        }
        #expect(try source.next() == .idle)
        #expect(server.seen.count == 1)
    }
}
