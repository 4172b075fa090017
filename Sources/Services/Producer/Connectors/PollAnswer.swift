import Compression
import HTTPClient
import JSON
import Text

/// What an API answered, as a source needs it: the records, each by itself, so that one which is no JSON is alone with that, and where to go on.
struct PollAnswer {
    /// Why there is none, for a sentence "the answer …".
    struct Unusable: Error {
        let why: String
    }

    /// UTF-8, unless the server says otherwise than it does.
    let body: [UInt8]
    let records: [Range<Int>]
    /// Tells these records from others.
    let hash: String
    private let outline: JSONOutline
    private let response: HTTPResponse

    /// - Parameters:
    ///   - path: where the list is.
    ///   - limit: most bytes of the answer.
    init(_ response: HTTPResponse, records path: String, limit: Int) throws(Unusable) {
        let body = try Self.text(of: response, limit: limit)
        let outline: JSONOutline
        do throws(JSONError) { outline = try JSONOutline(body) } catch { throw Self.notJSON(body) ?? Unusable(why: "is not JSON: \(error)") }
        guard let list = outline.value(at: path), let records = outline.elements(of: list) else {
            throw Self.notJSON(body) ?? Unusable(why: path.isEmpty ? "is not a list" : "has no list at `\(path)`")
        }
        self.response = response
        self.body = body
        self.outline = outline
        self.records = records
        hash = Self.hash(body[list])
    }

    /// What the strict check says, which knows more about JSON; nil where it finds nothing.
    private static func notJSON(_ body: [UInt8]) -> Unusable? {
        JSONProblem.first(in: body, 0..<body.count).map {
            Unusable(why: "is not JSON: \($0)" + ($0.reason.hasPrefix("It is HTML") ? "; perhaps a page to log in" : ""))
        }
    }

    func text(at path: String) -> String? { outline.value(at: path).flatMap(outline.text) }

    /// The address of a next page, where the answer names one in one of the usual ways.
    var usualNext: String? {
        response.link("next")
            ?? ["next", "@odata.nextLink", "links.next", "meta.next", "paging.next"].lazy.compactMap { path in
                text(at: path).flatMap { $0.hasPrefix("http") || $0.hasPrefix("/") ? $0 : nil }
            }.first
    }

    private static func text(of response: HTTPResponse, limit: Int) throws(Unusable) -> [UInt8] {
        var body = response.body
        // A compressed file says so by its first bytes only.
        if Gzip.isGzip(body) {
            do throws(Gzip.Failure) { body = try Gzip.expand(body, limit: limit) } catch {
                throw Unusable(why: error == .tooLarge ? "is larger than \(limit) bytes when it is expanded" : "is gzip that is damaged or cut off")
            }
        }
        var encoding = TextEncoding.utf8
        if let name = charset(response.header("Content-Type") ?? "") {
            guard let known = TextEncoding(named: name) else { throw Unusable(why: "has the charset `\(name.prefix(40))`, which is not known here") }
            encoding = known
        }
        // A mark says it better than the header (Encoding Standard, "BOM sniff").
        if body.starts(with: [0xFF, 0xFE]) { encoding = .utf16LittleEndian }
        if body.starts(with: [0xFE, 0xFF]) { encoding = .utf16BigEndian }
        body = encoding.decode(body)
        if body.starts(with: [0xEF, 0xBB, 0xBF]) { body.removeFirst(3) }
        return body
    }

    /// `charset` of a media type.
    private static func charset(_ type: String) -> String? {
        for parameter in type.split(separator: ";").dropFirst() {
            let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " && $0 != "\"" } }
            if parts.count == 2, parts[0].lowercased() == "charset" { return parts[1] }
        }
        return nil
    }

    static func hash(_ bytes: ArraySlice<UInt8>) -> String { String(FNV1a.hash(bytes), radix: 16) }
}
