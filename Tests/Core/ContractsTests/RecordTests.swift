import Contracts
import JSON
import Testing

/// The bytes on each topic, as version 0.1.0 wrote them: what is stored in people's Kafka must go on being read, and what they read with
/// their own programs must not change under them. A new field is added behind these, never in place of one.
@Suite("The records on the topics")
struct RecordTests {
    private static let event = """
        {"id":"trips:42","kind":"event","set":"trip","entity":"132 \\"JFK\\"","event_time":1546300850000,"produced_at":1546300851000,\
        "offset":41,"sequence":0,"features":{"fare":12.5,"tip \\"x\\"":null}}
        """
    private static let window = """
        {"id":"demand:132:1546300800000:1546302600000:window","kind":"window","set":"demand","entity":"132","event_time":1546302600000,\
        "window_start":1546300800000,"window_end":1546302600000,"produced_at":-1,"offset":41,"sequence":-1,"features":{"n":17}}
        """
    private static let sets = [(name: "trip", features: ["fare", "tip \"x\""]), (name: "demand", features: ["n"])]

    private func withBytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R { Array(text.utf8).withUnsafeBytes(body) }

    private func written(
        set: String, kind: String, features: [String], id: String, entity: String, eventTime: Int64, window: Range<Int64>?, producedAt: Int64,
        sequence: Int, values: [Double]
    ) -> String {
        let writer = FeatureRecordWriter(set: set, kind: kind, features: features)
        var json = JSONWriter(capacity: 256)
        withBytes(id) { id in
            withBytes(entity) { entity in
                values.withUnsafeBufferPointer { values in
                    writer.write(
                        .init(
                            id: id, entity: entity, eventTime: eventTime, window: window, producedAt: producedAt, offset: 41,
                            sequence: sequence),
                        values: values, into: &json)
                }
            }
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test("a feature record is written as it always was")
    func featureBytes() {
        let event = written(
            set: "trip", kind: "event", features: ["fare", "tip \"x\""], id: "trips:42", entity: "132 \"JFK\"", eventTime: 1_546_300_850_000,
            window: nil, producedAt: 1_546_300_851_000, sequence: 0, values: [12.5, .nan])
        #expect(event == Self.event)
        let window = written(
            set: "demand", kind: "window", features: ["n"], id: "demand:132:1546300800000:1546302600000:window", entity: "132",
            eventTime: 1_546_302_600_000, window: 1_546_300_800_000..<1_546_302_600_000, producedAt: -1, sequence: -1, values: [17])
        #expect(window == Self.window)
    }

    @Test("a feature record of version 0.1.0 is read in full; fields that a newer version adds are passed over")
    func featureReader() throws {
        var reader = try FeatureRecordReader(sets: Self.sets)
        for text in [Self.event, Self.event.replacing("{\"id\"", with: "{\"colour\":{\"a\":[1,{}]},\"id\"")] {
            let bytes = Array(text.utf8)
            #expect(reader.read(bytes, 0..<bytes.count) == nil)
            #expect(reader.set == 0 && reader.eventTime == 1_546_300_850_000 && reader.producedAt == 1_546_300_851_000)
            #expect(reader.offset == 41 && reader.sequence == 0 && reader.window == nil)
            #expect(String(decoding: reader.text[reader.id], as: UTF8.self) == "trips:42")
            #expect(String(decoding: reader.text[reader.entity], as: UTF8.self) == "132 \"JFK\"")
            var vector: [Double] = []
            reader.appendVector(to: &vector)
            #expect(vector[0] == 12.5 && vector[1].isNaN)
        }
        let bytes = Array(Self.window.utf8)
        #expect(reader.read(bytes, 0..<bytes.count) == nil)
        #expect(reader.set == 1 && reader.sequence == -1 && reader.window == 1_546_300_800_000..<1_546_302_600_000)
        var vector: [Double] = []
        reader.appendVector(to: &vector)
        #expect(vector == [17])
    }

    @Test(
        "what is no feature record of the use case is refused with a sentence that names the field",
        arguments: [
            ("{}", "The field id must be a string."),
            (event.replacing("\"set\":\"trip\"", with: "\"set\":\"fare\""), "The use case has no feature set fare."),
            (event.replacing("\"offset\":41", with: "\"offset\":\"41\""), "The field offset must be an integer."),
            (event.replacing("\"kind\":\"event\"", with: "\"kind\":null"), "The field kind must be a string."),
            (event.replacing("\"sequence\":0", with: "\"sequence\":0,\"sequence\":1"), "The field sequence is given twice."),
            ("[]", "The record is not a JSON object."),
        ])
    func refused(_ text: String, _ sentence: String) throws {
        var reader = try FeatureRecordReader(sets: Self.sets)
        let bytes = Array(text.utf8)
        #expect(reader.read(bytes, 0..<bytes.count) == sentence)
    }

    // MARK: Scores and anomalies

    private static let score = """
        {"id":"trips:42","kind":"event","set":"trip","entity":"132","event_time":1546300850000,"produced_at":1546300851000,\
        "scored_at":1546300851007,"offset":41,"score":0.98,"is_anomaly":true,"status":"SUSPICIOUS","confidence":0.9,\
        "anomaly_type":"overcharge","model":"isolation-forest","version":3
        """
    private static let reason = """
        ,"features":{"fare":120,"tip":null},"expected":{"fare":12.5,"tip":1},"contributions":{"fare":0.75,"tip":-0.25}
        """

    /// Since version 0.2.0.
    private static let place = ",\"sequence\":2"

    private func score(isAnomaly: Bool, reason: ScoreRecordWriter.Reason?) -> String {
        let writer = ScoreRecordWriter(
            set: "trip", features: ["fare", "tip"], statusNormal: "NORMAL", statusAnomaly: "SUSPICIOUS",
            model: Array("\"isolation-forest\"".utf8), version: 3)
        var json = JSONWriter(capacity: 256)
        withBytes("trips:42") { id in
            withBytes("132") { entity in
                withBytes("event") { kind in
                    var head = ScoreRecordWriter.Head(
                        id: id, kind: kind, entity: entity, eventTime: 1_546_300_850_000, window: nil, producedAt: 1_546_300_851_000,
                        scoredAt: 1_546_300_851_007, offset: 41, score: 0.98, isAnomaly: isAnomaly, confidence: 0.9)
                    head.type = Array("\"overcharge\"".utf8)
                    head.sequence = 2
                    writer.write(head, reason: reason, into: &json)
                }
            }
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test("a score is written as it always was, with its sequence behind that, and an anomaly is the same record with its reason")
    func scoreBytes() {
        #expect(score(isAnomaly: true, reason: nil) == Self.score + Self.place + "}")
        let reason = ScoreRecordWriter.Reason(actual: [120, .nan], expected: [12.5, 1], contributions: [0.75, -0.25])
        #expect(score(isAnomaly: true, reason: reason) == Self.score + Self.place + Self.reason + "}")
        let normal = Self.score.replacing("true", with: "false").replacing("SUSPICIOUS", with: "NORMAL")
            .replacing("\"anomaly_type\":\"overcharge\",", with: "")
        #expect(score(isAnomaly: false, reason: nil) == normal + Self.place + "}")
    }

    @Test("an anomaly of version 0.1.0 is read in full; fields that a newer version adds are passed over")
    func anomalyReader() throws {
        let anomaly = Anomaly(
            id: "trips:42", set: "trip", entity: "132", eventTime: 1_546_300_850_000, producedAt: 1_546_300_851_000, score: 0.98,
            status: "SUSPICIOUS", confidence: 0.9, model: "isolation-forest", version: 3,
            features: [
                .init(name: "fare", actual: 120, expected: 12.5, contribution: 0.75),
                .init(name: "tip", actual: nil, expected: 1, contribution: -0.25),
            ], anomalyType: "overcharge")
        for more in ["", Self.place, ",\"colour\":{\"a\":[1]}"] {
            let bytes = Array((Self.score + Self.reason + more + "}").utf8)
            #expect(try Anomaly(parsing: bytes, 0..<bytes.count) == anomaly)
        }
        let bytes = Array("{\"id\":\"x\"}".utf8)
        let error = #expect(throws: JSONError.self) { try Anomaly(parsing: bytes, 0..<bytes.count) }
        #expect("\(error ?? JSONError("", offset: nil))".contains("The field set must be a string."))
    }

    // MARK: Labels and alerts

    @Test("a label is written as it always was")
    func labelBytes() {
        var json = JSONWriter(capacity: 256)
        withBytes("trips:42") { id in
            withBytes("132") { entity in
                LabelRecord.write(
                    id: id, entity: entity, eventTime: 1_546_300_850_000, isAnomaly: true, ignore: false, kind: "overcharge",
                    start: 1_546_300_850_000, end: 1_546_300_860_000, into: &json)
            }
        }
        let golden = """
            {"id":"trips:42","entity":"132","event_time":1546300850000,"label":1,"ignore":false,"kind":"overcharge",\
            "start":1546300850000,"end":1546300860000}
            """
        #expect(String(decoding: json.bytes, as: UTF8.self) == golden)
    }

    private static let alert = """
        {"id":"2x9k/1","alert":"2x9k","event":"opened","severity":"critical","group":"132","title":"A title","text":"A text",\
        "raised_by":"trips:42","acknowledged_by":"","anomaly":"trips:44","entity":"132","set":"trip","type":"overcharge",\
        "status":"SUSPICIOUS","model":"isolation-forest","score":0.98,"confidence":0.9,"since":1546300850000,"last":1546300860000,\
        "anomalies":3,"suppressed":0,"alerted_at":1546300861000,"event_time":1546300860000,"produced_at":1546300860500,"version":3,\
        "features":{"fare":{"actual":120,"expected":12.5,"contribution":1}}}
        """

    @Test("an alert is read as version 0.1.0 wrote it and written as it always was; newer fields are passed over")
    func alertBytes() throws {
        let alert = try AlertRecord(parsing: Array(Self.alert.utf8))
        #expect(alert.id == "2x9k/1" && alert.raisedBy == "trips:42" && alert.anomalies == 3 && alert.alertedAt == 1_546_300_861_000)
        #expect(alert.anomaly.features == [.init(name: "fare", actual: 120, expected: 12.5, contribution: 1)])
        #expect(alert.anomaly.anomalyType == "overcharge" && alert.anomaly.version == 3)
        #expect(String(decoding: alert.json, as: UTF8.self) == Self.alert)
        let newer = Self.alert.replacing("{\"id\":\"2x9k/1\"", with: "{\"colour\":[{}],\"id\":\"2x9k/1\"")
        #expect(try AlertRecord(parsing: Array(newer.utf8)) == alert)
    }
}

@Suite("Names of topics and keys")
struct NameTests {
    @Test("the topics of a use case have the names that version 0.1.0 gave them")
    func topics() {
        #expect(
            Topics(useCase: "nyc-taxi").all == [
                "nyc-taxi.events", "nyc-taxi.features", "nyc-taxi.scores", "nyc-taxi.anomalies", "nyc-taxi.alerts", "nyc-taxi.dead-letter",
                "nyc-taxi.labels",
            ])
    }
}
