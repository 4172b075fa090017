import CSVReader
import Contracts
import Features
import UseCases

/// The lines of a web server's access log, in the common or the combined format of Apache and nginx
/// ([Apache](https://httpd.apache.org/docs/2.4/logs.html#accesslog)).
///
/// `[HOST ]CLIENT IDENT USER [TIME] "REQUEST" STATUS BYTES["REFERER" "AGENT"][ DURATION]`; DURATION is nginx's `$request_time` in seconds or Apache's `%D`
/// in microseconds. The columns are those parts, the request taken apart, and `route`: the first part of the path, such as `images`, or
/// `home`. A method that HTTP does not know is `OTHER`.
final class AccessRows: LineRows, RowReader {
    private static let names = [
        "host", "client", "user", "timestamp", "method", "path", "route", "protocol", "status", "bytes", "referer", "agent", "duration",
        "label", "label_kind", "label_start", "label_end",
    ]
    private static let methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"].map { Array($0.utf8) }

    private let host: [UInt8]
    private let hasHost: Bool
    private let truth: LineTruth?
    private var scan = AccessScan()
    private var label: LineTruth.Label?
    @exclusivity(unchecked) private(set) var bytes: [UInt8] = []
    @exclusivity(unchecked) private(set) var fields: [Range<Int>]

    init(path: String, format: FileFormat, schema: EventSchema, follows: Bool, shouldWait: (@Sendable () -> Bool)?) throws {
        host = Array((format.host ?? "localhost").utf8)
        hasHost = format.host == nil
        truth = try format.labels.map { try LineTruth(path: $0) }
        fields = Array(repeating: 0..<0, count: Self.names.count)
        try super.init(path: path, format: format, follows: follows, shouldWait: shouldWait)
    }

    var columns: [String] { Self.names }

    func next() throws -> SourceRow? {
        guard let row = try nextLine() else { return nil }
        guard case .event = row else { return row }
        guard scan.read(reader.bytes, reader.range, hasHost: hasHost) else {
            return .unmappable(.malformed, "The line is not in the common or combined format of an access log.")
        }
        label = truth?.label(of: line)
        bytes.removeAll(keepingCapacity: true)
        for index in fields.indices {
            let from = bytes.count
            append(index)
            fields[index] = from..<bytes.count
        }
        return .event
    }

    private func append(_ column: Int) {
        switch column {
        case 0: if hasHost { append(scan.host) } else { bytes.append(contentsOf: host) }
        case 1: append(scan.client)
        case 2: append(scan.user)
        case 3: appendTime()
        case 4: appendMethod()
        case 5: append(scan.path)
        case 6: appendRoute()
        case 7: append(scan.version)
        case 8: append(scan.status)
        case 9:
            if scan.size.count == 1, reader.bytes[scan.size.lowerBound] == UInt8(ascii: "-") {
                bytes.append(UInt8(ascii: "0"))
            } else {
                append(scan.size)
            }
        case 10: append(scan.referer)
        case 11: append(scan.agent)
        case 12: appendDuration()
        case 13: if label != nil { bytes.append(UInt8(ascii: "1")) }
        case 14: bytes.append(contentsOf: (label?.kind ?? "").utf8)
        case 15: bytes.append(contentsOf: (label?.start ?? "").utf8)
        default: bytes.append(contentsOf: (label?.end ?? "").utf8)
        }
    }

    private func append(_ range: Range<Int>) { bytes.append(contentsOf: reader.bytes[range]) }

    private func appendMethod() {
        let known = Self.methods.contains { reader.bytes[scan.method].elementsEqual($0) }
        if known { append(scan.method) } else { bytes.append(contentsOf: "OTHER".utf8) }
    }

    /// `17/May/2015:10:05:03 +0000` as `2015-05-17T10:05:03+00:00`; anything else as it is, to be refused by who reads it.
    private func appendTime() {
        let (text, at) = (reader.bytes, scan.time.lowerBound)
        guard scan.time.count == 26, let month = AccessScan.month(text, at + 3) else { return append(scan.time) }
        append(at + 7..<at + 11)
        bytes.append(contentsOf: [UInt8(ascii: "-"), UInt8(ascii: "0") + UInt8(month / 10), UInt8(ascii: "0") + UInt8(month % 10), UInt8(ascii: "-")])
        append(at..<at + 2)
        bytes.append(UInt8(ascii: "T"))
        append(at + 12..<at + 20)
        append(at + 21..<at + 24)
        bytes.append(UInt8(ascii: ":"))
        append(at + 24..<at + 26)
    }

    /// `/images/web/banner.png?x=1` is of the route `images`.
    private func appendRoute() {
        let path = reader.bytes[scan.path]
        guard path.first == UInt8(ascii: "/") else { return bytes.append(contentsOf: "other".utf8) }
        let first = path.dropFirst().prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        bytes.append(contentsOf: first.isEmpty ? Array("home".utf8)[...] : first)
    }

    private func appendDuration() {
        let text = reader.bytes[scan.duration]
        guard !text.isEmpty, text.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: ".") }) else { return }
        if text.contains(UInt8(ascii: ".")) { return append(scan.duration) }
        // Microseconds.
        let seconds = (Double(String(decoding: text, as: UTF8.self)) ?? 0) / 1e6
        bytes.append(contentsOf: "\(seconds)".utf8)
    }
}

/// Where the parts of an access line are.
struct AccessScan {
    private(set) var host = 0..<0
    private(set) var client = 0..<0
    private(set) var user = 0..<0
    private(set) var time = 0..<0
    private(set) var method = 0..<0
    private(set) var path = 0..<0
    private(set) var version = 0..<0
    private(set) var status = 0..<0
    private(set) var size = 0..<0
    private(set) var referer = 0..<0
    private(set) var agent = 0..<0
    private(set) var duration = 0..<0
    private var at = 0
    private var end = 0

    /// - Returns: false when this is no access line.
    mutating func read(_ text: [UInt8], _ range: Range<Int>, hasHost: Bool) -> Bool {
        (at, end) = (range.lowerBound, range.upperBound)
        (referer, agent, duration, host) = (0..<0, 0..<0, 0..<0, 0..<0)
        if hasHost { host = word(text) }
        client = word(text)
        _ = word(text)
        // A user's name may have blanks in it: it ends where the time begins.
        let from = at
        while at < end, text[at] != UInt8(ascii: "[") { at += 1 }
        guard at < end, at > from else { return false }
        user = from..<at - 1
        at += 1
        let began = at
        while at < end, text[at] != UInt8(ascii: "]") { at += 1 }
        time = began..<at
        at += 1
        blanks(text)
        guard let request = quoted(text) else { return false }
        split(text, request)
        blanks(text)
        status = word(text)
        size = word(text)
        guard status.count == 3, !size.isEmpty else { return false }
        if let found = quoted(text) {
            referer = found
            blanks(text)
            agent = quoted(text) ?? 0..<0
            blanks(text)
        }
        duration = word(text)
        return true
    }

    private mutating func word(_ text: [UInt8]) -> Range<Int> {
        let from = at
        while at < end, text[at] != UInt8(ascii: " ") { at += 1 }
        let found = from..<at
        blanks(text)
        return found
    }

    private mutating func blanks(_ text: [UInt8]) { while at < end, text[at] == UInt8(ascii: " ") { at += 1 } }

    /// What is in quotes; a backslash keeps the quote behind it from ending it. Nil when nothing is quoted here.
    private mutating func quoted(_ text: [UInt8]) -> Range<Int>? {
        guard at < end, text[at] == UInt8(ascii: "\"") else { return nil }
        let from = at + 1
        var index = from
        while index < end, text[index] != UInt8(ascii: "\"") { index += text[index] == UInt8(ascii: "\\") ? 2 : 1 }
        guard index < end else { return nil }
        at = index + 1
        return from..<index
    }

    /// `GET /path HTTP/1.1`; a request that is none, such as bytes of TLS, is a path without a method.
    private mutating func split(_ text: [UInt8], _ request: Range<Int>) {
        let first = text[request].firstIndex(of: UInt8(ascii: " "))
        let last = text[request].lastIndex(of: UInt8(ascii: " "))
        guard let first, let last, first < last else {
            (method, path, version) = (0..<0, request, 0..<0)
            return
        }
        (method, path, version) = (request.lowerBound..<first, first + 1..<last, last + 1..<request.upperBound)
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].map { Array($0.utf8) }

    static func month(_ text: [UInt8], _ at: Int) -> Int? {
        months.firstIndex { text[at..<at + 3].elementsEqual($0) }.map { $0 + 1 }
    }
}

/// Which lines of a file are anomalous: a CSV file beside it with the columns `first`, `last` (lines, from 1), `kind`, and `start` and `end` of the
/// episode that they are part of, in ISO 8601.
struct LineTruth {
    struct Label {
        var lines: ClosedRange<Int>
        var kind: String
        var start: String
        var end: String
    }

    private var labels: [Label] = []
    private static let maximumLabels = 100_000

    init(path: String) throws {
        let reader = try CSVReader(path: path)
        let names = ["first", "last", "kind", "start", "end"]
        let columns = names.compactMap { reader.column($0) }
        guard columns.count == names.count else {
            throw SourceError("\(path): The file of labels needs the columns \(names.joined(separator: ", ")).")
        }
        while let status = try reader.next() {
            let texts = columns.map { reader.string($0) }
            guard status == .ok, let from = Int(texts[0]), let to = Int(texts[1]), from <= to, labels.count < Self.maximumLabels else {
                throw SourceError("\(path):\(reader.line): A label needs two line numbers, the first not above the last.")
            }
            labels.append(Label(lines: from...to, kind: texts[2], start: texts[3], end: texts[4]))
        }
        labels.sort { $0.lines.lowerBound < $1.lines.lowerBound }
    }

    /// What a line is part of; nil for a normal one.
    func label(of line: Int) -> Label? {
        var (low, high) = (0, labels.count)
        while low < high {
            let middle = (low + high) / 2
            if labels[middle].lines.upperBound < line { low = middle + 1 } else { high = middle }
        }
        return low < labels.count && labels[low].lines.contains(line) ? labels[low] : nil
    }
}
