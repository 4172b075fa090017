import Features
import Testing
import UseCases

@testable import Producer

@Suite("Access lines")
struct AccessRowsTests {
    private static func schema() throws -> EventSchema {
        let texts = ["host", "client", "user", "method", "path", "route", "protocol", "referer", "agent"]
        return try EventSchema(
            fields: texts.map { EventField($0, .string, isRequired: $0 == "host") } + [
                EventField("timestamp", .timestamp, format: .iso8601), EventField("status", .integer), EventField("bytes", .integer),
                EventField("duration", .number, isRequired: false),
            ], entity: "host", time: "timestamp")
    }

    private func events(_ text: String, host: String? = "www") throws -> [String] {
        let folder = try Folder()
        var format = FileFormat(file: try folder.write(text, as: "access.log"))
        format.kind = .accessLog
        format.host = host
        let source = try RowSource<AccessRows>(path: format.file, csv: format, schema: Self.schema(), strict: true, loops: false)
        var result: [String] = []
        while let row = try source.next() {
            if case .unmappable(let reason, _) = row {
                result.append("\(source.idText) \(reason)")
            } else {
                result.append(try source.json(Self.schema()))
            }
        }
        return result
    }

    @Test("the common and the combined format, with and without a duration behind them")
    func formats() throws {
        let lines = """
            9.9.9.9 - ann [17/May/2015:10:05:03 +0200] "GET /a/b?x=1 HTTP/1.1" 200 -
            9.9.9.8 - - [01/Jan/2016:00:00:00 +0000] "POST / HTTP/2.0" 302 17 "http://x/\\"y\\"" "A (b; c)" 0.25
            ::1 - - [01/Jan/2016:00:00:00 +0000] "GET /q HTTP/1.0" 500 1 "-" "-" 2500000
            """
        let found = try events(lines)
        #expect(found.count == 3)
        let first =
            #"{"host":"www","client":"9.9.9.9","user":"ann","method":"GET","path":"/a/b?x=1","route":"a","protocol":"HTTP/1.1","#
            + #""timestamp":"2015-05-17T10:05:03+02:00","status":200,"bytes":0}"#
        #expect(found[0] == first)
        #expect(found[1].contains(#""route":"home""#) && found[1].contains(#""duration":0.25"#) && found[1].contains(#""agent":"A (b; c)""#))
        #expect(found[2].hasSuffix(#""duration":2.5}"#))
    }

    @Test("a request that is none is a path without a method that HTTP knows, and a line that is none is refused with its place")
    func strange() throws {
        let found = try events(
            """
            9.9.9.9 - - [17/May/2015:10:05:03 +0000] "\\x16\\x03" 400 0 "-" "-"
            not an access line
            9.9.9.9 - - [17/May/2015:10:05:03 +0000] "GET /unfinished
            """)
        #expect(found[0].contains(#""method":"OTHER""#) && found[0].contains(#""route":"other""#))
        #expect(found[1...] == ["access.log:2 malformed", "access.log:3 malformed"])
    }

    @Test("a host in front of the line, where the use case names none")
    func virtualHost() throws {
        let found = try events(#"a.example:443 9.9.9.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#, host: nil)
        #expect(found[0].hasPrefix(#"{"host":"a.example:443","client":"9.9.9.9""#))
    }
}
