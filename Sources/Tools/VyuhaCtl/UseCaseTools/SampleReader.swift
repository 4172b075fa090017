import CSVReader
import JSON
import YAMLReader

/// What a sample of events shows.
struct Sample {
    enum Kind: Equatable {
        case csv(delimiter: UInt8)
        case jsonLines
        case topic
        /// Where the list of records is in an answer, and where the address of the next page.
        case api(records: String, next: String?)
        case table(connection: String)
    }

    let kind: Kind
    /// The file, topic, address or table, as it was named.
    let origin: String
    var columns: [ColumnProfile] = []
    /// Rows that could be read.
    var rows = 0
    /// Rows that could not.
    var wrong = 0

    private var indexes: [String: Int] = [:]

    init(_ kind: Kind, origin: String) {
        self.kind = kind
        self.origin = origin
    }

    /// One JSON object; what is none counts as wrong.
    mutating func add(json: some Sequence<UInt8>) {
        guard let value = try? JSONValue.parse(Array(json)) else { return wrong += 1 }
        add(value)
    }

    mutating func add(_ value: JSONValue) {
        guard value.object != nil else { return wrong += 1 }
        rows += 1
        add(value, "")
    }

    private mutating func add(_ value: JSONValue, _ path: String) {
        switch value {
        case .null, .array: return
        case .object(let members):
            for member in members where !member.name.contains(".") {
                add(member.value, path.isEmpty ? member.name : path + "." + member.name)
            }
        case .string, .bool, .integer, .number:
            let index = indexes[path] ?? columns.count
            if index == columns.count {
                indexes[path] = index
                columns.append(ColumnProfile(path))
            }
            if let text = value.string {
                columns[index].add(text, isText: true)
            } else {
                columns[index].add(String(decoding: value.serialized, as: UTF8.self), isText: false)
            }
        }
    }
}

/// Reads the beginning of a file of events.
enum SampleReader {
    static func read(_ path: String, rows: Int, delimiter: UInt8? = nil) throws -> Sample {
        let name = path.hasSuffix(".gz") ? String(path.dropLast(3)) : path
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") || name.hasSuffix(".json") { return try readJSON(path, rows: rows) }
        return try readCSV(path, rows: rows, delimiter: delimiter)
    }

    /// A name for the use case: the file's, in lower case, with `-` for what a name may not hold.
    static func useCaseName(of path: String) -> String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        let stem = file.split(separator: ".").first.map(String.init) ?? file
        var name = ""
        for character in stem.lowercased() {
            let isSafe = character.isASCII && (character.isLetter || character.isNumber)
            if isSafe { name.append(character) } else if !name.isEmpty, !name.hasSuffix("-") { name.append("-") }
        }
        while name.hasSuffix("-") { name.removeLast() }
        return name.isEmpty ? "my-use-case" : String(name.prefix(64))
    }

    private static func readCSV(_ path: String, rows limit: Int, delimiter: UInt8?) throws -> Sample {
        var delimiter = delimiter ?? UInt8(ascii: ",")
        var reader = try CSVReader(path: path, CSVSettings(delimiter: delimiter))
        if reader.columns.count == 1 {
            for other in [UInt8(ascii: ";"), UInt8(ascii: "\t"), UInt8(ascii: "|")] where path != "-" {
                let candidate = try CSVReader(path: path, CSVSettings(delimiter: other))
                guard candidate.columns.count > reader.columns.count else { continue }
                (reader, delimiter) = (candidate, other)
            }
        }
        var sample = Sample(.csv(delimiter: delimiter), origin: path)
        sample.columns = reader.columns.map { ColumnProfile($0) }
        while sample.rows + sample.wrong < limit, let status = try reader.next() {
            guard status == .ok else {
                sample.wrong += 1
                continue
            }
            sample.rows += 1
            for index in sample.columns.indices where !reader.fields[index].isEmpty { sample.columns[index].add(reader.string(index), isText: false) }
        }
        return sample
    }

    /// One object a line. Lines are taken apart by the CSV reader without a delimiter that JSON could hold: it bounds memory and reads gzip.
    private static func readJSON(_ path: String, rows limit: Int) throws -> Sample {
        let reader = try CSVReader(path: path, CSVSettings(delimiter: 0x1F, hasHeader: false))
        var sample = Sample(.jsonLines, origin: path)
        while sample.rows + sample.wrong < limit, try reader.next() != nil { sample.add(json: reader.bytes[reader.rawBytes]) }
        return sample
    }
}
