import HTTPClient
import JSON
import KafkaClient
import PostgresClient
import ServiceKit

/// Samples from where live events are.
extension SampleReader {
    /// Seconds without a record after which a topic has shown what it has.
    private static let patience = 5.0

    /// The newest records of a topic, about as many of each partition. Nothing is committed.
    static func read(topic: String, of kafka: KafkaSettings, rows limit: Int) throws -> Sample {
        let admin = try KafkaAdmin(kafka)
        guard let partitions = try admin.topics(expecting: [topic])[topic] else {
            throw CommandError("There is no topic \(topic) at \(kafka.bootstrapServers).")
        }
        let consumer = try KafkaConsumer(kafka, group: "vyuhactl-infer")
        defer { consumer.close() }
        var (starts, ends): ([PartitionOffset], [TopicPartition: Int64]) = ([], [:])
        for number in 0..<partitions {
            let place = TopicPartition(topic, Int32(number))
            let range = try admin.watermarks(place)
            guard range.high > range.low else { continue }
            starts.append(PartitionOffset(place, max(range.low, range.high - Int64(max(1, limit / partitions)))))
            ends[place] = range.high
        }
        guard !starts.isEmpty else { throw CommandError("The topic \(topic) is empty; there is nothing to look at yet.") }
        try consumer.assign(starts)
        var sample = Sample(.topic, origin: topic)
        var batch = RecordBatch()
        var deadline = Clock.monotonicSeconds + patience
        while !ends.isEmpty, sample.rows + sample.wrong < limit, Clock.monotonicSeconds < deadline {
            try consumer.poll(into: &batch, timeout: 100)
            if !batch.isEmpty { deadline = Clock.monotonicSeconds + patience }
            for record in batch.records {
                if let value = record.value { sample.add(json: batch.bytes[value]) }
            }
            for place in try consumer.position(Array(ends.keys)) {
                if let end = ends[place.topicPartition], place.offset >= end { ends[place.topicPartition] = nil }
            }
        }
        guard sample.rows > 0 else {
            throw CommandError(
                "None of the \(sample.wrong) newest records of \(topic) is a JSON object; only JSON is read, not Avro, Protobuf or a Schema Registry's framing."
            )
        }
        return sample
    }

    /// One answer of an API: the list of objects in it that is nearest to the top.
    /// - Parameter token: for `Authorization: Bearer`.
    static func read(api url: String, token: String?, rows limit: Int) throws -> Sample {
        let headers = [HTTPHeader("Accept", "application/json")] + (token.map { [HTTPHeader("Authorization", "Bearer " + $0)] } ?? [])
        var settings = HTTPClientSettings()
        settings.acceptsCompression = true
        let answer = try HTTPClient(settings).send(HTTPRequest(.get, url, headers: headers, timeout: 30_000))
        guard answer.isSuccess else { throw CommandError("\(url) answers \(answer.status).") }
        guard let value = try? JSONValue.parse(answer.body) else { throw CommandError("What \(url) answers is not JSON.") }
        guard let (path, records) = list(in: value) else { throw CommandError("In what \(url) answers there is no list of objects.") }
        let next = ["next", "@odata.nextLink", "links.next", "meta.next", "paging.next"].first { path in
            path.split(separator: path.hasPrefix("@") ? " " : ".").reduce(value) { $0?[String($1)] }?.string.map { $0.contains("/") } ?? false
        }
        var sample = Sample(.api(records: path, next: next), origin: url)
        for record in records.prefix(limit) { sample.add(record) }
        return sample
    }

    /// Breadth first, so that a record's own lists are not taken for the records.
    private static func list(in value: JSONValue) -> (path: String, records: [JSONValue])? {
        var level = [(path: "", value: value)]
        for _ in 0..<4 {
            for (path, value) in level {
                if let records = value.array, records.contains(where: { $0.object != nil }) { return (path, records) }
            }
            level = level.flatMap { path, value in (value.object ?? []).map { (path.isEmpty ? $0.name : path + "." + $0.name, $0.value) } }
        }
        return nil
    }

    /// Rows of a table or view, in no order.
    static func read(table: String, at connection: String, rows limit: Int) throws -> Sample {
        let rows = try PostgresConnection(connection).query("SELECT * FROM \(PostgresConnection.quoted(table: table)) LIMIT \(limit)")
        guard rows.count > 0 else { throw CommandError("The table \(table) is empty; there is nothing to look at yet.") }
        var sample = Sample(.table(connection: connection), origin: table)
        sample.columns = rows.columns.map { ColumnProfile($0) }
        sample.rows = rows.count
        var text: [UInt8] = []
        for row in 0..<rows.count {
            for column in sample.columns.indices where !rows.isNull(row: row, column: column) {
                text.removeAll(keepingCapacity: true)
                rows.appendEventText(row: row, column: column, to: &text)
                sample.columns[column].add(String(decoding: text, as: UTF8.self), isText: false)
            }
        }
        return sample
    }
}
