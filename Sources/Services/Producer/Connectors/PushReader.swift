import Contracts
import Features
import HTTPServer
import JSON
import KafkaClient
import UseCases

/// Why nothing of a request can be taken.
struct PushProblem: Error {
    let response: HTTPServerResponse

    /// - Parameter accept: says which content codings are taken (RFC 9110, section 12.5.3).
    init(_ status: Int, _ sentence: String, accept: Bool = false) {
        response = .problem(status, sentence, headers: accept ? [("Accept-Encoding", "gzip, deflate")] : [])
    }
}

/// Why one event of a request was not taken, and where it stands.
struct PushRefusal {
    /// Counted from 1.
    let event: Int
    /// Of its first sign, from 1 and from 0; nil in a request of one event.
    let place: (line: Int, byte: Int)?
    let reason: DeadLetterReason
    let fields: [String]
    let detail: String

    var sentence: String { place.map { "Event \(event) (line \($0.line), byte \($0.byte)): " + detail } ?? "Event \(event): " + detail }

    func write(to json: inout JSONWriter) {
        json.beginObject()
        json.key("event")
        json.value(event)
        if let place {
            json.key("line")
            json.value(place.line)
            json.key("byte")
            json.value(place.byte)
        }
        json.key("reason")
        json.value(reason.rawValue)
        if !fields.isEmpty {
            json.key("field")
            json.value(fields.joined(separator: ","))
        }
        json.key("detail")
        json.value(detail)
        json.endObject()
    }
}

/// `@unchecked Sendable`: a reader is with one request at a time; who has taken it from the pool owns it.
///
/// Reads the events of one request, and is kept for the next one. An event is checked against the whole schema, so that who sent it hears of what would
/// otherwise become a dead letter later.
final class PushReader: @unchecked Sendable {
    private let columns: JSONColumns
    private let decoder: EventDecoder
    private let binding: ColumnBinding
    private let event: ColumnEventWriter
    private let idColumn: Int?
    private var json = JSONWriter(capacity: 1_024)
    private var texts: [UInt8] = []
    private var events: [(number: Int, entity: Range<Int>, id: Range<Int>, json: Range<Int>)] = []
    private var stem = ""
    /// The events of the request so far, good or not.
    private var count = 0
    /// Where the events stand in the body; nil while nobody has asked.
    private var ranges: [Range<Int>]?
    private var body: [UInt8] = []
    /// Of the events that can be taken.
    private(set) var ids: [UInt64] = []
    private(set) var refusals: [PushRefusal] = []
    /// How many of the events with an id were refused after all.
    private(set) var refusedLate = 0
    private(set) var batch: OutgoingBatch

    /// Events of one request.
    private static let maximumEvents = 10_000
    /// Bytes of one request, expanded.
    static let maximumBytes = 32 << 20
    /// Refusals that an answer spells out.
    static let namedRefusals = 100

    init(_ push: PushedEvents, schema: EventSchema, topics: Topics) throws {
        var format = FileFormat(file: "")
        format.columns = push.columns
        columns = try JSONColumns(schema: schema, format: format, extra: push.id.map { [$0] } ?? [], maximumBytes: Self.maximumBytes)
        let found = Columns.find(schema, header: columns.names, named: push.columns)
        var names: [String: String] = [:]
        for (field, column) in zip(schema.fields, found) where column >= 0 { names[field.name] = columns.names[column] }
        binding = try ColumnBinding(schema: schema, header: columns.names, columns: names)
        decoder = EventDecoder(schema: schema)
        event = ColumnEventWriter(schema: schema, binding: binding)
        idColumn = push.id.flatMap { [names = columns.names] in names.firstIndex(of: $0) }
        batch = OutgoingBatch(topics: [topics.events])
    }

    /// Whether a media type is that of an object a line, under one of the names that are in use.
    static func isLines(_ type: String) -> Bool {
        let type = type.lowercased().prefix { $0 != ";" }
        return ["ndjson", "jsonl", "json-lines", "jsonlines", "json_lines"].contains { type.hasSuffix($0) }
    }

    /// - Parameters:
    ///   - isLines: an object a line; a body of several objects is read so whatever its type.
    ///   - stem: names the request, for events without an id of their own.
    /// - Throws: why none of the request can be taken. What is wrong with single events is in `refusals`.
    func read(_ text: [UInt8], isLines: Bool, stem: String) throws(PushProblem) {
        begin(text, stem)
        guard !isLines else { return try readLines() }
        switch columns.open(body) {
        case .ok:
            while let row = columns.next() { try take(row) }
            if count == 0 { throw PushProblem(400, "The list has no event.") }
        case .malformed(let reason): try readParts(reason)
        default: throw PushProblem(400, "The body must be a JSON object, a list of them, or one a line.")
        }
    }

    private func begin(_ text: [UInt8], _ stem: String) {
        body = text.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(text.dropFirst(3)) : text
        self.stem = stem
        texts.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
        refusals.removeAll()
        ranges = nil
        (count, refusedLate) = (0, 0)
    }

    /// A body that is no JSON as a whole: objects on lines, or a list of which a part is wrong.
    private func readParts(_ reason: JSONReason) throws(PushProblem) {
        let problem = JSONProblem.first(in: body, 0..<body.count)
        if problem?.reason == JSONProblem.goesOn, body.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") { return try readLines() }
        guard let outline = try? JSONOutline(body), let parts = outline.elements(of: outline.root), !parts.isEmpty else {
            throw PushProblem(400, "The body is not valid JSON: " + (problem.map { "\($0)." } ?? "\(reason)"))
        }
        ranges = parts
        for part in parts { try take(columns.read(body, part)) }
    }

    private func readLines() throws(PushProblem) {
        ranges = body.split(separator: 10).map { line in
            line.last == 13 ? line.startIndex..<line.endIndex - 1 : line.startIndex..<line.endIndex
        }.filter { line in body[line].contains { $0 > 0x20 } }
        for line in ranges ?? [] { try take(columns.read(body, line)) }
        if count == 0 { throw PushProblem(400, "The body has no event.") }
    }

    private func take(_ row: SourceRow) throws(PushProblem) {
        count += 1
        guard count <= Self.maximumEvents else {
            throw PushProblem(413, "A request takes at most \(Self.maximumEvents) events; send the others apart.")
        }
        if case .unmappable(let reason, let sentence) = row { return refuse(count, reason, [], sentence) }
        guard decoder.decode(columns: columns.bytes, columns.fields, binding) else {
            let errors = decoder.errors
            return refuse(count, errors.first?.reason ?? .malformed, errors.map(\.field), errors.map(\.message).joined(separator: " "))
        }
        let entity = keep(decoder.entity[...])
        let id = appendID()
        json.removeAll()
        event.write(columns.bytes, columns.fields, into: &json)
        let size = json.bytes.count + entity.count + id.count
        guard size <= Delivery.maximumEventBytes else {
            return refuse(count, .tooLarge, [], "It has \(size) bytes; at most \(Delivery.maximumEventBytes) are taken.")
        }
        events.append((count, entity, id, keep(json.bytes[...])))
        ids.append(RecentIDs.hash(texts[id]))
    }

    /// Refuses one of the events that could be taken, after all.
    func refuse(_ index: Int, _ reason: DeadLetterReason, _ detail: String) {
        refusedLate += 1
        refuse(events[index].number, reason, [], detail)
    }

    private func refuse(_ number: Int, _ reason: DeadLetterReason, _ fields: [String], _ detail: String) {
        if ranges == nil { ranges = (try? JSONOutline(body)).flatMap { $0.elements(of: $0.root) } ?? [] }
        var place: (line: Int, byte: Int)?
        // Counting lines takes time; beyond what is told it is of no use.
        if let ranges, ranges.indices.contains(number - 1), refusals.count < Self.namedRefusals {
            let start = ranges[number - 1].lowerBound
            place = (body[..<start].count { $0 == 10 } + 1, start)
        }
        refusals.append(PushRefusal(event: number, place: place, reason: reason, fields: fields.filter { !$0.isEmpty }, detail: detail))
    }

    private func appendID() -> Range<Int> {
        let from = texts.count
        texts.append(contentsOf: "push:".utf8)
        if let idColumn, !columns.fields[idColumn].isEmpty {
            texts.append(contentsOf: columns.bytes[columns.fields[idColumn]])
        } else {
            texts.append(contentsOf: stem.utf8)
            texts.append(UInt8(ascii: ":"))
            Digits.append(Int64(count), to: &texts)
        }
        return from..<texts.count
    }

    private func keep(_ bytes: ArraySlice<UInt8>) -> Range<Int> {
        let from = texts.count
        texts.append(contentsOf: bytes)
        return from..<texts.count
    }

    /// Makes the batch of the events that are new.
    func fill(_ isFresh: [Bool]) {
        batch.removeAll()
        for (event, isFresh) in zip(events, isFresh) where isFresh {
            batch.append(topic: 0, keyOf: texts, event.entity, valueOf: texts, event.json)
            batch.header("id", of: texts, event.id)
        }
    }
}
