import Glibc
import JSON
import KafkaClient
import ServiceKit
import Streaming

/// Writes every record of a run as one line of JSON into `DIR/<topic>.jsonl`, so that all figures of the report can be computed again.
///
/// A line: `{"id","topic","partition","offset","timestamp","observed_at","key","headers":{…},"value":…}`. `id` is the record's identity as all
/// services read it, `timestamp` is Kafka's and `observed_at`
/// the arrival here, both milliseconds since the epoch. Bytes that are no UTF-8 are under `key_base64`; a value that is not one line of
/// valid JSON is under `value_base64`; a value that is missing (a tombstone) is `null`.
final class Recorder {
    private var files: [UnsafeMutablePointer<FILE>?] = []
    private var names: [String] = []
    private let directory: String
    private var writer = JSONWriter(capacity: 4_096)
    private let check: JSONFields
    private var id: [UInt8] = []

    init(directory: String) throws(CommandError) {
        self.directory = directory
        mkdir(directory, 0o755)
        guard access(directory, W_OK) == 0 else { throw CommandError("Records cannot be written to \(directory): \(systemError(errno)).") }
        do { check = try JSONFields(paths: ["id"], maximumBytes: 4 << 20) } catch { throw CommandError(error.message) }
    }

    deinit { close() }

    /// Appends one record.
    /// - Parameter observedAt: wall clock, milliseconds.
    func write(_ record: ConsumedRecord, of batch: borrowing RecordBatch, observedAt: Double) {
        guard let file = file(batch.topics[record.topic]) else { return }
        writer.removeAll()
        writer.beginObject()
        batch.identity(of: record, into: &id)
        writer.key("id")
        writer.value(utf8: id, 0..<id.count)
        writer.key("topic")
        writer.value(batch.topics[record.topic])
        writer.key("partition")
        writer.value(Int(record.partition))
        writer.key("offset")
        writer.value(record.offset)
        writer.key("timestamp")
        writer.value(record.timestamp)
        writer.key("observed_at")
        writer.value(observedAt)
        text("key", batch.bytes, record.key)
        writer.key("headers")
        writer.beginObject()
        for header in batch.headers[record.headers] {
            text(String(decoding: batch.bytes[header.name], as: UTF8.self), batch.bytes, header.value)
        }
        writer.endObject()
        value(batch.bytes, record.value)
        writer.endObject()
        writer.newline()
        writer.bytes.withUnsafeBytes { _ = fwrite($0.baseAddress, 1, $0.count, file) }
    }

    func close() {
        for case let file? in files { fclose(file) }
        files = []
        names = []
    }

    private func file(_ topic: String) -> UnsafeMutablePointer<FILE>? {
        if let index = names.firstIndex(of: topic) { return files[index] }
        names.append(topic)
        files.append(fopen(directory + "/" + topic + ".jsonl", "w"))
        return files.last ?? nil
    }

    private func text(_ name: String, _ bytes: [UInt8], _ range: Range<Int>?) {
        guard let range else {
            writer.key(name)
            writer.null()
            return
        }
        if let text = String(validating: bytes[range], as: UTF8.self) {
            writer.key(name)
            writer.value(text)
        } else {
            writer.key(name + "_base64")
            writer.value(Base64.encode(bytes[range]))
        }
    }

    private func value(_ bytes: [UInt8], _ range: Range<Int>?) {
        guard let range else {
            writer.key("value")
            writer.null()
            return
        }
        let isOneLine = !bytes[range].contains(UInt8(ascii: "\n"))
        if isOneLine, case .ok = check.read(bytes, range) {
            writer.key("value")
            writer.raw(bytes, range)
        } else if isOneLine, let json = try? JSONValue.parse(bytes, range), !json.isNull {
            writer.key("value")
            writer.value(json)
        } else {
            writer.key("value_base64")
            writer.value(Base64.encode(bytes[range]))
        }
    }
}

/// Base64 with padding (RFC 4648, section 4).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: ArraySlice<UInt8>) -> String {
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let left = bytes.endIndex - index
            let group =
                UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0) | (left > 2 ? UInt32(bytes[index + 2]) : 0)
            for position in 0..<4 {
                let letter = alphabet[Int(group >> UInt32(18 - 6 * position)) & 63]
                result.append(position <= left ? letter : UInt8(ascii: "="))
            }
            index += 3
        }
        return String(decoding: result, as: UTF8.self)
    }
}
