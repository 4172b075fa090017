import Features
import YAMLReader

/// `source: http`: records of an HTTP API that is asked again and again.
public struct PolledAPI: Sendable, Equatable {
    /// How an API gives more than one answer has room for.
    public enum Pagination: Sendable, Equatable {
        /// One answer is all. An answer that is not as the one before is a new reading of everything.
        case none
        /// Pages are counted: `?parameter=1`. An API that only ever appends.
        case page(parameter: String, first: Int64)
        /// Each answer names what to ask for next, at a path: `?parameter=NEXT`; where that is an address, it is asked for itself.
        case cursor(parameter: String, path: String)
        /// Each answer has the address of the next page at a path, absolute or relative, on the same server.
        case next(path: String)
        /// Each answer has it in a header field `Link` with this relation (RFC 8288).
        case link(relation: String)
    }

    public var url: String
    /// Milliseconds between two questions; where there are pages, behind the last one.
    public var interval: Int64 = 10_000
    /// Where the records are in an answer; empty: the answer is the list.
    public var records = ""
    public var pagination = Pagination.none
    public var headers: [String: String] = [:]
    /// A file with the token for `Authorization: Bearer`, read before each question.
    public var tokenFile: String?
    /// The path of a record's own identity; nil: its place in the answers.
    public var id: String?
    /// The path of a field in a record, where it is not the schema's.
    public var columns: [String: String] = [:]

    public init(url: String) { self.url = url }
}

/// `source: postgresql`: rows of a table or view, in the order of a column that only grows.
public struct PolledTable: Sendable, Equatable {
    /// `host=… dbname=…` or `postgresql://…`; passwords belong into `PGPASSWORD` or `PGPASSFILE`.
    public var connection: String
    public var table: String
    /// Rows are read in its order, and none twice: a time of insertion or change, or a number that grows.
    public var watermark: String
    /// Tells rows with the same watermark apart; the watermark itself where it is unique.
    public var key: String
    /// Rows a query.
    public var batch = 1_000
    /// Milliseconds between two questions when there is nothing new.
    public var interval: Int64 = 5_000
    /// The column of a field that is not named like it.
    public var columns: [String: String] = [:]

    public init(connection: String, table: String, watermark: String, key: String) {
        self.connection = connection
        self.table = table
        self.watermark = watermark
        self.key = key
    }
}

/// `source: push`: events that others send to `POST /events`.
public struct PushedEvents: Sendable, Equatable {
    public var port = 9110
    /// A file with the tokens that may send, one a line; nil: everyone may.
    public var tokenFile: String?
    /// The path of an event's own identity; nil: made here, so that a repeated request is another event.
    public var id: String?
    /// The path of a field in an event, where it is not the schema's.
    public var columns: [String: String] = [:]

    public init() {}
}

extension PolledAPI {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["url", "interval", "records", "pagination", "headers", "token_file", "id", "columns"])
        self.init(url: try keys.required("url").nonEmptyString())
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw keys.error(at: "url", "`url` wants an address that begins with http:// or https://, but has `\(url.prefix(80))`.")
        }
        if let node = keys["interval"] { interval = try node.milliseconds(10...86_400_000) }
        if let node = keys["records"] { records = try node.nonEmptyString() }
        if let node = keys["pagination"] { pagination = try Self.pagination(node) }
        if let node = keys["headers"] {
            for entry in try node.mapping().entries { headers[entry.key] = try entry.value.string() }
        }
        if let node = keys["token_file"] { tokenFile = try node.nonEmptyString() }
        if let node = keys["id"] { id = try node.nonEmptyString() }
        if let node = keys["columns"] { columns = try FileFormat.columns(node, schema) }
    }

    private static func pagination(_ node: YAMLNode) throws(YAMLError) -> Pagination {
        let keys = try node.mapping(["page", "first", "cursor", "path", "next", "link"])
        if let next = keys["next"] { return .next(path: try next.nonEmptyString()) }
        if let link = keys["link"] { return .link(relation: try link.nonEmptyString()) }
        if let page = keys["page"] {
            let first = try keys["first"].map { node throws(YAMLError) in try node.integer(0...1_000_000) } ?? 1
            return .page(parameter: try page.nonEmptyString(), first: first)
        }
        guard let cursor = keys["cursor"] else {
            throw node.error(
                "`pagination` wants `page` (the name of the parameter), `cursor` (the same) and `path`, `next` (the path of the next page's address) or `link: next`."
            )
        }
        return .cursor(parameter: try cursor.nonEmptyString(), path: try keys.required("path").nonEmptyString())
    }
}

extension PolledTable {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["connection", "table", "watermark", "key", "batch", "interval", "columns"])
        let watermark = try keys.required("watermark").nonEmptyString()
        self.init(
            connection: try keys["connection"].map { node throws(YAMLError) in try node.string() } ?? "",
            table: try keys.required("table").nonEmptyString(), watermark: watermark,
            key: try keys["key"].map { node throws(YAMLError) in try node.nonEmptyString() } ?? watermark)
        if let node = keys["batch"] { batch = try node.int(1...100_000) }
        if let node = keys["interval"] { interval = try node.milliseconds(10...86_400_000) }
        if let node = keys["columns"] { columns = try FileFormat.columns(node, schema) }
    }
}

extension PushedEvents {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["port", "token_file", "id", "columns"])
        self.init()
        if let node = keys["port"] { port = try node.int(0...65_535) }
        if let node = keys["token_file"] { tokenFile = try node.nonEmptyString() }
        if let node = keys["id"] { id = try node.nonEmptyString() }
        if let node = keys["columns"] { columns = try FileFormat.columns(node, schema) }
    }
}
