import Platform
import Contracts
import Features
import HTTPClient
import JSON
import ServiceKit
import Text
import UseCases

/// The records of an HTTP API, asked again and again. One owner thread.
///
/// An id is the record's own where the use case names its path, else its place: cursor or page, and number. A place is stable because such
/// an API only appends; after a restart the same questions are asked and give the same ids.
final class PollSource: EventSource {
    let name: String
    let canResume = true
    let header: [String]
    let columns: [Int]

    private let api: PolledAPI
    private let client: HTTPClient
    private let service: Service
    private let object: JSONColumns
    private let key: RowKey
    private let idColumn: Int?
    private let requests: Counter
    private let failures: Counter

    /// The records of the newest answer, and which of them is the next one.
    private var records: [JSONValue] = []
    private var index = 0
    /// What the newest question asked for: a page, a cursor, or the hash of the answer.
    private var cursor: String
    private var following: String?
    private var entityTag: String?
    private var backoff = Backoff(initial: 200, maximum: 30_000)
    /// Whether a question of this round had no usable answer.
    private var failed = false
    /// Monotonic seconds before which nothing is asked.
    private var notBefore = 0.0
    private var count: Int64 = 0
    private(set) var raw: ArraySlice<UInt8> = []
    private(set) var id: [UInt8] = []

    /// The largest answer that is read.
    private static let maximumAnswer = 64 << 20

    init(_ api: PolledAPI, schema: EventSchema, service: Service) throws {
        self.api = api
        self.service = service
        var settings = HTTPClientSettings()
        settings.maximumResponseBytes = Self.maximumAnswer
        client = try HTTPClient(settings)
        var format = FileFormat(file: "")
        format.columns = api.columns
        object = try JSONColumns(schema: schema, format: format, extra: api.id.map { [$0] } ?? [])
        header = object.names
        columns = Columns.find(schema, header: header, named: api.columns)
        key = try RowKey(schema: schema, header: header, columns: columns)
        idColumn = api.id.flatMap { [header] in header.firstIndex(of: $0) }
        // The address without its parameters, which may hold what is no one's business.
        name = String(api.url.prefix { $0 != "?" }.split(separator: "/").dropFirst().joined(separator: "/"))
        requests = service.metrics.counter("vyuha_source_requests_total", "Questions asked of the API or the database.")
        failures = service.metrics.counter("vyuha_source_failures_total", "Questions that had no usable answer and are asked again.")
        if case .page(_, let first) = api.pagination { cursor = "\(first)" } else { cursor = "" }
    }

    var bytes: [UInt8] { object.bytes }
    var fields: [Range<Int>] { object.fields }
    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { key.eventTime }
    var truth: Truth { Truth() }
    var position: SourcePosition { SourcePosition(events: count, line: index, cursor: cursor) }
    var fraction: Double? { nil }

    func next() throws -> SourceRow? {
        while index >= records.count {
            if let following, !records.isEmpty {
                turn(to: following)
                notBefore = 0
            }
            guard Clock.monotonicSeconds >= notBefore else { return .idle }
            failed = false
            let isNew = try ask()
            // A page that answers does not make up for the one behind it that does not.
            if !failed { backoff.reset() }
            guard isNew else { return .idle }
        }
        let text = records[index].serialized
        index += 1
        count += 1
        raw = text[...]
        let row = object.read(text, 0..<text.count)
        writeID()
        if case .event = row { key.read(object.bytes, object.fields) } else { key.forgetEntity() }
        return row
    }

    private func writeID() {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: name.utf8)
        id.append(UInt8(ascii: ":"))
        if let idColumn, idColumn < object.fields.count, !object.fields[idColumn].isEmpty {
            id.append(contentsOf: object.bytes[object.fields[idColumn]])
        } else {
            id.append(contentsOf: cursor.utf8)
            id.append(UInt8(ascii: ":"))
            Digits.append(Int64(index), to: &id)
        }
    }

    func resume(at position: SourcePosition) {
        count = position.events
        cursor = position.cursor
        index = position.line
    }

    private func turn(to place: String) {
        cursor = place
        following = nil
        records = []
        index = 0
        entityTag = nil
    }

    /// Asks once.
    /// - Returns: false when there is nothing new for now.
    /// - Throws: what asking again cannot mend.
    private func ask() throws -> Bool {
        requests.add()
        let response: HTTPResponse
        do {
            let life = service.life
            response = try client.send(HTTPRequest(.get, url, headers: try headers(), timeout: 30_000)) {
                life.turned()
                return !life.isStopping
            }
        } catch let error as HTTPClientError where error.isRetryable {
            return retry(error.message, after: nil)
        }
        switch response.status {
        case 200..<300: break
        case 304:
            wait()
            return try tryNextPage()
        case 408, 425, 429, 500...599: return retry("the API answered \(response.status)", after: response.retryAfter)
        case 401, 403:
            throw SourceError("\(name) answered \(response.status): it wants another token than that of `token_file`, or one at all.")
        default: throw SourceError("\(name) answered \(response.status), which asking again will not mend. Check `url` and `headers`.")
        }
        guard let answer = try? JSONValue.parse(response.body), let found = Self.value(at: api.records, in: answer)?.array else {
            let place = api.records.isEmpty ? "is not a list" : "has no list at `\(api.records)`"
            return retry("the answer \(place)", after: nil)
        }
        return try take(found, answer, response)
    }

    private func take(_ found: [JSONValue], _ answer: JSONValue, _ response: HTTPResponse) throws -> Bool {
        switch api.pagination {
        case .none:
            let hash = Self.hash(response.body)
            // What an earlier run had begun with is another answer now: all of this one is new.
            if hash != cursor { (cursor, index) = (hash, 0) }
        case .page: break
        case .cursor(_, let path):
            let place = Self.value(at: path, in: answer)
            following = place?.string ?? place?.integer.map { "\($0)" }
            if following == cursor || following?.isEmpty == true { following = nil }
        }
        records = found
        entityTag = response.header("ETag")
        if index < records.count { return true }
        wait()
        return try tryNextPage()
    }

    /// A page that has nothing new may have a page behind it by now.
    private func tryNextPage() throws -> Bool {
        if following != nil, !records.isEmpty { return false }
        guard case .page = api.pagination, !records.isEmpty, let page = Int64(cursor) else { return false }
        let (kept, tag, place) = (records, entityTag, index)
        turn(to: "\(page + 1)")
        let pause = notBefore
        if try ask(), !records.isEmpty { return true }
        // Nothing there yet: this page may still grow.
        (cursor, records, entityTag, index) = ("\(page)", kept, tag, place)
        notBefore = max(notBefore, pause)
        return false
    }

    private func wait() { notBefore = Clock.monotonicSeconds + Double(api.interval) / 1_000 }

    private func retry(_ why: String, after seconds: Int?) -> Bool {
        failures.add()
        failed = true
        let pause = max(Double(backoff.next()) / 1_000, Double(min(seconds ?? 0, 3_600)))
        notBefore = Clock.monotonicSeconds + pause
        if backoff.attempts == 1 { service.log.warning("the source has no usable answer and is asked again", ["source": name, "why": why]) }
        return false
    }

    private var url: String {
        let parameter: (name: String, value: String)? =
            switch api.pagination {
            case .none: nil
            case .page(let name, _): (name, cursor)
            case .cursor(let name, _): cursor.isEmpty ? nil : (name, cursor)
            }
        guard let parameter else { return api.url }
        return api.url + (api.url.contains("?") ? "&" : "?") + Self.escaped(parameter.name) + "=" + Self.escaped(parameter.value)
    }

    private func headers() throws -> [HTTPHeader] {
        var headers = api.headers.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        headers.append(HTTPHeader("Accept", "application/json"))
        if let entityTag { headers.append(HTTPHeader("If-None-Match", entityTag)) }
        if let file = api.tokenFile { headers.append(HTTPHeader("Authorization", "Bearer " + (try TextFile.firstLine(of: file)))) }
        return headers
    }

    /// `data.items` inside an answer; the answer itself for an empty path.
    private static func value(at path: String, in answer: JSONValue) -> JSONValue? {
        path.split(separator: ".").reduce(answer) { value, name in value?[String(name)] }
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain = byte | 0x20 &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || [45, 46, 95, 126].contains(byte)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        return result
    }

    private static func hash(_ bytes: [UInt8]) -> String {
        String(FNV1a.hash(bytes), radix: 16)
    }
}
