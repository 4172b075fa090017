import Platform
import Contracts
import Features
import HTTPClient
import JSON
import ServiceKit
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
    private let address: HTTPAddress
    private let client: HTTPClient
    private let service: Service
    private let object: JSONColumns
    private let key: RowKey
    private let idColumn: Int?
    private let requests: Counter
    private var retry: SourceRetry

    /// The newest answer and which of its records is the next one.
    private var body: [UInt8] = []
    private var records: [Range<Int>] = []
    private var index = 0
    /// What the newest question asked for: a page, a cursor, an address, or the hash of the answer.
    private var cursor: String
    private var following: String?
    /// The pages of this round, so that a round of pages ends.
    private var visited: Set<String> = []
    private var entityTag: String?
    /// Whether a question of this round had no usable answer.
    private var failed = false
    private var hasWarned: Set<String> = []
    /// Monotonic seconds before which nothing is asked.
    private var notBefore = 0.0
    private var count: Int64 = 0
    private(set) var raw: ArraySlice<UInt8> = []
    private(set) var id: [UInt8] = []

    /// The largest answer that is read, compressed or not.
    private static let maximumAnswer = 64 << 20
    private static let maximumRedirects = 5

    init(_ api: PolledAPI, schema: EventSchema, service: Service) throws {
        self.api = api
        self.service = service
        guard let address = HTTPAddress(api.url) else { throw SourceError("`url` is no address: \(api.url.prefix { $0 != "?" }).") }
        self.address = address
        var settings = HTTPClientSettings()
        settings.maximumResponseBytes = Self.maximumAnswer
        settings.acceptsCompression = true
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
        retry = SourceRetry(name, maximum: 30_000, service)
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
            guard Clock.monotonicSeconds >= notBefore, !service.life.isStopping else { return .idle }
            failed = false
            let isNew = try ask()
            // A page that answers does not make up for the one behind it that does not.
            if !failed { retry.succeeded() }
            guard isNew else { return .idle }
        }
        let record = records[index]
        index += 1
        count += 1
        raw = body[record]
        let row = object.read(body, record)
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
            // An address may hold what is no one's business, and is long.
            id.append(contentsOf: (isAddress(cursor) ? PollAnswer.hash(Array(cursor.utf8)[...]) : cursor).utf8)
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
        visited.insert(cursor)
        cursor = place
        following = nil
        records = []
        index = 0
        entityTag = nil
    }

    // MARK: Asking

    /// Asks once, over redirects.
    /// - Returns: false when there is nothing new for now.
    /// - Throws: what asking again cannot mend.
    private func ask() throws -> Bool {
        guard var place = HTTPAddress(url) else { throw SourceError("\(name) names a next page whose address is none.") }
        for _ in 0...Self.maximumRedirects {
            requests.add()
            let response: HTTPResponse
            do {
                let life = service.life
                response = try client.send(HTTPRequest(.get, place.text, headers: try headers(), timeout: 30_000)) {
                    life.turned()
                    return !life.isStopping
                }
            } catch let error as HTTPClientError where error.kind == .stopped {
                return false
            } catch let error as HTTPClientError where error.isRetryable || error.kind == .tooLarge {
                return askAgain(error.message)
            }
            guard [301, 302, 303, 307, 308].contains(response.status) else { return try take(response, from: place) }
            place = try redirect(response, from: place)
        }
        return askAgain("the API redirects more than \(Self.maximumRedirects) times, in the end to \(Self.shown(place))")
    }

    private func redirect(_ response: HTTPResponse, from place: HTTPAddress) throws -> HTTPAddress {
        guard let location = response.header("Location"), let target = place.resolving(location) else {
            throw SourceError("\(name) answered \(response.status) without an address to go to. Check `url`.")
        }
        guard place.isSameServer(as: target) else {
            throw SourceError(
                "\(name) answered \(response.status) and sends to another server, \(Self.shown(target)), which is not followed, since headers and token are for the one in `url`. If that is where the records are, put it into `url`."
            )
        }
        if hasWarned.insert("redirect").inserted {
            service.log.info("the API redirects, which is followed", ["source": name, "status": response.status, "to": Self.shown(target)])
        }
        return target
    }

    private func take(_ response: HTTPResponse, from place: HTTPAddress) throws -> Bool {
        switch response.status {
        case 204, 205: return try nothingNew()
        case 200..<300: break
        case 304:
            guard entityTag != nil else { return askAgain("it answered 304 (not modified), though it was not asked whether anything has changed") }
            return try nothingNew()
        case 404 where isLaterPage:
            // Some say so where the pages end.
            return try nothingNew()
        case 408, 425, 429, 500...599: return askAgain("the API answered \(response.status)", after: response.retryAfter)
        case 401, 403:
            throw SourceError("\(name) answered \(response.status): it wants another token than that of `token_file`, or one at all.")
        default: throw SourceError("\(name) answered \(response.status), which asking again will not mend. Check `url` and `headers`.")
        }
        let answer: PollAnswer
        do throws(PollAnswer.Unusable) {
            answer = try PollAnswer(response, records: api.records, limit: Self.maximumAnswer)
        } catch {
            return askAgain("the answer " + error.why)
        }
        switch api.pagination {
        case .none:
            // What an earlier run had begun with is another answer now: all of this one is new.
            if answer.hash != cursor { (cursor, index) = (answer.hash, 0) }
            if let next = answer.usualNext, hasWarned.insert("next").inserted {
                service.log.warning(
                    "the answer names a next page, which the definition does not read; say `pagination: { next: … }` or `{ link: next }`",
                    ["source": name, "next": String(next.prefix { $0 != "?" })])
            }
        case .page: break
        case .cursor(_, let path): try follow(answer.text(at: path), from: place, isLink: false)
        case .next(let path): try follow(answer.text(at: path), from: place, isLink: true)
        case .link(let relation): try follow(response.link(relation), from: place, isLink: true)
        }
        (body, records) = (answer.body, answer.records)
        entityTag = response.header("ETag")
        if index < records.count {
            if following == nil, !isCounted { wait() }
            return true
        }
        return try nothingNew()
    }

    /// Notes what the answer says about the next page.
    /// - Parameter isLink: it is an address; otherwise it is one if it looks like one.
    private func follow(_ text: String?, from place: HTTPAddress, isLink: Bool) throws {
        following = nil
        guard let text, !text.isEmpty else { return }
        var next = text
        if isLink || isAddress(text) || (text.hasPrefix("/") && text.contains("?")) {
            guard let target = place.resolving(text) else { throw SourceError("\(name) names a next page whose address is none.") }
            guard place.isSameServer(as: target) else {
                throw SourceError(
                    "\(name) names a next page on another server, \(Self.shown(target)), which is not asked, since headers and token are for the one in `url`."
                )
            }
            next = target.text
        }
        guard next != cursor, next != place.text else { return }
        guard !visited.contains(next) else {
            if hasWarned.insert("circle").inserted { service.log.warning("the next pages lead back to one that was read", ["source": name]) }
            return
        }
        following = next
    }

    /// A page that has nothing new may have a page behind it by now; otherwise the interval begins.
    private func nothingNew() throws -> Bool {
        wait()
        if let following {
            // A page without a single record is done with when it names the next one, which may be asked for when it is time.
            if records.isEmpty { turn(to: following) }
            return false
        }
        guard isCounted, !records.isEmpty, let page = Int64(cursor) else { return false }
        let (kept, tag, place, text) = (records, entityTag, index, body)
        turn(to: "\(page + 1)")
        let pause = notBefore
        if try ask(), !records.isEmpty { return true }
        // Nothing there yet: this page may still grow.
        (cursor, records, entityTag, index, body) = ("\(page)", kept, tag, place, text)
        notBefore = max(notBefore, pause)
        return false
    }

    private var isCounted: Bool { if case .page = api.pagination { true } else { false } }
    private var isLaterPage: Bool { if case .page(_, let first) = api.pagination { cursor != "\(first)" } else { false } }

    private func wait() {
        visited.removeAll()
        notBefore = Clock.monotonicSeconds + Double(api.interval) / 1_000
    }

    private func askAgain(_ why: String, after seconds: Int? = nil) -> Bool {
        failed = true
        notBefore = retry.failed(why, atLeast: seconds ?? 0)
        // Never sooner than the interval, where that is short.
        notBefore = max(notBefore, Clock.monotonicSeconds + Double(min(api.interval, 1_000)) / 1_000)
        return false
    }

    private func isAddress(_ text: String) -> Bool { text.hasPrefix("http://") || text.hasPrefix("https://") }

    private var url: String {
        if isAddress(cursor) { return cursor }
        let parameter: (name: String, value: String)? =
            switch api.pagination {
            case .none, .next, .link: nil
            case .page(let name, _): (name, cursor)
            case .cursor(let name, _): cursor.isEmpty ? nil : (name, cursor)
            }
        guard let parameter else { return address.text }
        return address.text + (address.text.contains("?") ? "&" : "?") + Self.escaped(parameter.name) + "=" + Self.escaped(parameter.value)
    }

    /// For people: without parameters.
    private static func shown(_ address: HTTPAddress) -> String { String(address.text.prefix { $0 != "?" }) }

    private func headers() throws -> [HTTPHeader] {
        var headers = api.headers.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        headers.append(HTTPHeader("Accept", "application/json"))
        if let entityTag { headers.append(HTTPHeader("If-None-Match", entityTag)) }
        if let file = api.tokenFile { headers.append(HTTPHeader("Authorization", "Bearer " + (try TextFile.firstLine(of: file)))) }
        return headers
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain = byte | 0x20 &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || [45, 46, 95, 126].contains(byte)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        return result
    }
}
