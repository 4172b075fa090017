import Contracts
import Foundation
import HTTPClient
import JSON
import KafkaClient
import TestSupport
import Testing

@Suite("the scoring API over a running service") struct ScoringAPITests {
    private static func trip(_ changes: [String: JSONValue?] = [:]) -> String { ScoringFixture.trip(changes) }

    @Test("every endpoint answers as the document says, and refuses other methods with a problem document")
    func endpoints() throws {
        let api = try ScoringFixture()
        let pages = [
            ("/health", "application/json"), ("/metrics", "text/plain"), ("/model", "application/json"), ("/schema", "application/schema+json"),
            ("/openapi.json", "application/json"), ("/docs", "text/html"), ("/", "text/html"),
        ]
        for (path, type) in pages {
            let response = try api.get(path)
            #expect(response.status == 200, "\(path)")
            #expect(response.header("content-type")?.hasPrefix(type) == true, "\(path)")
            let head = try api.send(.head, path)
            #expect(head.status == 200 && head.body.isEmpty, "\(path)")
            for method in [HTTPMethod.post, .put, .delete] {
                let refused = try api.send(method, path, "{}")
                #expect(refused.status == 405, "\(method) \(path)")
                #expect(refused.header("allow") == "GET, HEAD")
                #expect(refused.header("content-type") == "application/problem+json")
                #expect(refused.json?["status"]?.integer == 405)
            }
        }
        #expect(try api.get("/health").text == #"{"status":"ok"}"#)
        #expect(try withDeadline(10) { try api.get("/ready").json?["status"]?.string == "waiting for Kafka" })
        #expect(try api.get("/ready").status == 503)
        let missing = try api.get("/predictt")
        #expect(missing.status == 404)
        #expect(missing.json?["type"]?.string == "about:blank" && missing.json?["title"]?.string == "Not Found")
        #expect(try api.get("/predict").status == 405)
        for method in ["OPTIONS", "TRACE", "PATCH", "QUERY"] {
            let answer = try api.exchange("\(method) /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 405") && answer.contains("Allow: POST"), "\(answer)")
        }
    }

    @Test("one event has one reply and an array has an array, in the use case's shape and in order")
    func replies() throws {
        let api = try ScoringFixture()
        let one = try api.post("/predict", Self.trip())
        #expect(one.status == 200)
        let reply = try #require(one.json)
        #expect(reply.object?.map(\.name) == ["pickup_zone", "anomaly_score", "is_anomalous", "status"])
        #expect(reply["pickup_zone"]?.integer == 132)
        let score = try #require(reply["anomaly_score"]?.double)
        #expect((0...1).contains(score))
        let strange = Self.trip(["fare": 900, "total": 2000, "pickup_zone": 7])
        let several = try api.post("/predict", "[\(Self.trip()), \(strange), \(Self.trip())]")
        let replies = try #require(several.json?.array)
        #expect(replies.count == 3 && replies[0] == reply && replies[2] == reply)
        #expect(replies[1]["pickup_zone"]?.integer == 7)
        #expect(replies[1]["is_anomalous"]?.bool == true && replies[1]["status"]?.string == "SUSPICIOUS", "\(several.text)")
        #expect(try api.post("/predict", "[]").text == "[]")
        let many = try api.post("/predict", "[" + Array(repeating: Self.trip(), count: 3_000).joined(separator: ",") + "]")
        #expect(many.status == 200)
        #expect(many.json?.array?.count == 3_000 && many.json?[2_999] == reply)
    }

    @Test("?explain=true adds expected values and contributions")
    func explanations() throws {
        let api = try ScoringFixture()
        let strange = Self.trip(["total": 300])
        let explained = try #require(try api.post("/predict?explain=true", strange).json)
        let reason = try #require(explained["explanation"])
        let names = try #require(reason["features"]?.object?.map(\.name))
        #expect(names == ["charge_ratio", "log_pace", "unexplained_total"])
        #expect(reason["expected"]?.object?.map(\.name) == names)
        let contributions = try #require(reason["contributions"]?.object).compactMap(\.value.double)
        #expect(abs(contributions.reduce(0) { $0 + abs($1) } - 1) < 1e-9)
        #expect(reason["features"]?["unexplained_total"]?.double == 240.2)
        #expect(reason["score"] == explained["anomaly_score"])
        #expect(reason["online_features"]?.string == "not-needed")
        #expect(try api.post("/predict?explain=false", strange).json?["explanation"] == nil)
        #expect(try api.post("/predict?explain=maybe", strange).mistakes == ["query.explain wrong-type"])
        let array = try api.post("/predict?explain=1", "[\(strange)]")
        #expect(array.json?[0]?["explanation"] == reason)
        let tooMany = try api.post("/predict?explain=true", "[" + Array(repeating: strange, count: 101).joined(separator: ",") + "]")
        #expect(tooMany.status == 422 && tooMany.mistakes == ["query.explain too-many"])
    }

    @Test("a wrong event is answered with 422 and one entry for each wrong field")
    func validation() throws {
        let api = try ScoringFixture()
        let cases: [(String, [String])] = [
            ("", ["body empty"]), ("{", ["body malformed"]), ("null", ["body not-an-object"]), ("5", ["body not-an-object"]),
            (Self.trip() + "x", ["body malformed"]), (Self.trip(["fare": nil]), ["body.fare missing-field"]),
            (Self.trip(["fare": .null]), ["body.fare missing-field"]), (Self.trip(["fare": "52"]), ["body.fare wrong-type"]),
            (Self.trip(["fare": 1e9]), ["body.fare out-of-range"]), (Self.trip(["passengers": 1.5]), ["body.passengers wrong-type"]),
            (Self.trip(["rate_code": 100]), ["body.rate_code out-of-range"]),
            (Self.trip(["pickup_time": "noon"]), ["body.pickup_time bad-timestamp"]),
            (Self.trip(["fare": [1]]), ["body.fare wrong-type"]), (Self.trip(["fair": 1]), ["body.fair unknown-field"]),
            (
                Self.trip(["duration": -1, "distance": 501, "tip": nil]),
                ["body.duration out-of-range", "body.distance out-of-range", "body.tip missing-field"]
            ),
            (#"{"fare":1,"fare":2}"#, ["body.fare repeated-field"]),
            ("[\(Self.trip()),\(Self.trip(["fare": nil])),7]", ["body.1.fare missing-field", "body.2 not-an-object"]),
            ("[[]]", ["body.0 not-an-object"]),
        ]
        for (body, mistakes) in cases {
            let response = try api.post("/predict", body)
            #expect(response.status == 422, "\(body)")
            #expect(response.mistakes == mistakes, "\(body): \(response.text)")
            for entry in response.json?["detail"]?.array ?? [] { #expect(entry["msg"]?.string?.isEmpty == false) }
        }
        let flood = try api.post("/predict", "[" + Array(repeating: "{}", count: 100_000).joined(separator: ",") + "]")
        #expect(flood.status == 422 && flood.mistakes.count == 200)
        #expect(try api.post("/predict", Self.trip()).status == 200, "a mistake leaves nothing behind")
    }

    @Test("a body above 1 MiB is refused with 413, one of 1 MiB is read")
    func bodyLimit() throws {
        let api = try ScoringFixture()
        let blanks = String(repeating: " ", count: (1 << 20) - Self.trip().utf8.count)
        #expect(try api.post("/predict", Self.trip() + blanks).status == 200)
        let refused = try api.post("/predict", Self.trip() + blanks + " ")
        #expect(refused.status == 413)
        #expect(refused.header("content-type") == "application/problem+json")
    }

    @Test("without a model /predict says 503 and when to come back, and /model is empty")
    func noModel() throws {
        let api = try ScoringFixture(hasModel: false)
        let response = try api.post("/predict", Self.trip())
        #expect(response.status == 503 && response.header("retry-after") == "1")
        #expect(response.header("content-type") == "application/problem+json")
        #expect(try api.get("/ready").status == 503)
        #expect(try api.get("/health").status == 200)
        #expect(try api.get("/model").json?["models"]?.array == [])
    }

    @Test("/model, /schema and /openapi.json describe what is there")
    func documents() throws {
        let api = try ScoringFixture()
        let model = try #require(try api.get("/model").json?["models"]?[0])
        #expect(model["set"]?.string == "trip" && model["version"]?.integer == 1)
        #expect(model["model"]?["features"]?.array?.compactMap { $0["name"]?.string } == ["charge_ratio", "log_pace", "unexplained_total"])
        #expect(try #require(model["model"]?["threshold"]?["score"]?.double) > 0)
        #expect(try #require(model["age_seconds"]?.double) >= 0)
        #expect(try #require(model["calibration"]?["held_back_rows"]?.integer) > 0)
        let schema = try #require(try api.get("/schema").json)
        #expect(schema["$schema"]?.string == "https://json-schema.org/draft/2020-12/schema")
        #expect(schema["required"]?.array?.count == 8 && schema["additionalProperties"]?.bool == false)
        #expect(schema["properties"]?["distance"]?["maximum"]?.double == 500)
        #expect(schema["properties"]?["extra"]?["default"]?.double == 0)
        let document = try #require(try api.get("/openapi.json").json)
        #expect(document["openapi"]?.string == "3.1.0")
        let paths = try #require(document["paths"]?.object?.map(\.name))
        #expect(Set(paths) == ["/predict", "/model", "/schema", "/openapi.json", "/docs", "/health", "/ready", "/metrics"])
        // What the document gives as an example must be good.
        let operation = document["paths"]?["/predict"]?["post"]
        for name in ["one", "several"] {
            let example = try #require(operation?["requestBody"]?["content"]?["application/json"]?["examples"]?[name]?["value"])
            #expect(try api.post("/predict", example.text).status == 200)
        }
        let page = try api.get("/docs")
        #expect(page.text.contains("openapi.json"))
        #expect(!page.text.contains("http://") && !page.text.contains("https://"), "the page needs no other server")
        #expect(page.header("content-security-policy")?.contains("default-src 'none'") == true)
    }

    @Test("a request id goes out as it came in, and one is made where there is none that can be used")
    func requestIDs() throws {
        let api = try ScoringFixture(hasModel: false)
        for path in ["/health", "/predict", "/nothing"] {
            #expect(try api.get(path, headers: ["X-Request-Id": "abc-1"]).header("x-request-id") == "abc-1")
        }
        let first = try #require(try api.get("/health").header("x-request-id"))
        let second = try #require(try api.get("/health").header("x-request-id"))
        #expect(first.count == 16 && first != second)
        #expect(try api.get("/health", headers: ["X-Request-Id": "a b"]).header("x-request-id")?.count == 16)
        #expect(try api.get("/health", headers: ["X-Request-Id": String(repeating: "a", count: 200)]).header("x-request-id")?.count == 16)
    }

    @Test("with a token file /predict and /model want one of its tokens, and a changed file counts within two seconds")
    func tokens() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-tokens-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let (old, other, new) = ("old-token-0123456789", "other-token-0123456789", "new-token-0123456789")
        try Data("# clients\n\(old)\n\n\(other)\n".utf8).write(to: file)
        let api = try ScoringFixture(environment: ["VYUHA_API_TOKENS_FILE": file.path])
        func status(_ token: String?, _ path: String = "/predict") throws -> Int {
            try api.post(path, Self.trip(), headers: token.map { ["Authorization": $0] } ?? [:]).status
        }
        let refused = try api.post("/predict", Self.trip())
        #expect(refused.status == 401 && refused.header("www-authenticate") == "Bearer")
        #expect(refused.header("content-type") == "application/problem+json")
        #expect(try api.get("/model").status == 401)
        for path in ["/health", "/metrics", "/docs", "/schema", "/openapi.json"] { #expect(try api.get(path).status == 200, "\(path)") }
        #expect(try status("Bearer " + old) == 200 && status("bearer " + other) == 200)
        let wrong = ["Bearer", "Bearer ", old, "Basic " + old, "Bearer \(old)x", "Bearer " + old.dropLast(), "Bearer # clients", "Bearer " + new]
        for value in wrong { #expect(try status(value) == 401, "\(value)") }
        try Data("\(new)\n".utf8).write(to: file)
        #expect(try withDeadline(5) { try status("Bearer " + new) == 200 })
        #expect(try status("Bearer " + old) == 401)
        // A file that cannot be used leaves the tokens as they are.
        try Data("short\n".utf8).write(to: file)
        #expect(withDeadline(5) { api.service.output.contains("the old ones stay") })
        #expect(try status("Bearer " + new) == 200 && status("Bearer short") == 401)
        #expect(!api.service.output.contains(new), "a token is never logged")
    }

    @Test("pages of an allowed origin may call, others may not")
    func crossOrigin() throws {
        let api = try ScoringFixture(environment: ["VYUHA_CORS_ORIGINS": "https://good.example, http://localhost:3000"])
        func preflight(_ origin: String) throws -> String {
            try api.exchange(
                "OPTIONS /predict HTTP/1.1\r\nHost: x\r\nOrigin: \(origin)\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n")
        }
        let allowed = try preflight("https://good.example")
        #expect(allowed.hasPrefix("HTTP/1.1 204") && allowed.contains("Access-Control-Allow-Origin: https://good.example\r\n"), "\(allowed)")
        #expect(allowed.contains("Access-Control-Allow-Headers: Authorization"))
        let answer = try api.post("/predict", Self.trip(), headers: ["Origin": "https://good.example"])
        #expect(answer.header("access-control-allow-origin") == "https://good.example" && answer.header("vary") == "Origin")
        #expect(try api.post("/predict", Self.trip(), headers: ["Origin": "https://evil.example"]).header("access-control-allow-origin") == nil)
        #expect(try preflight("https://evil.example").hasPrefix("HTTP/1.1 403"))
    }

    @Test("the stream and /predict give the same score for the same event")
    func sameScore() throws {
        let topics = Topics(useCase: "nyc-taxi")
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: 2) })
        let api = try ScoringFixture(kafka: broker.bootstrapServers)
        let processor = try ServiceProcess(
            "stream-processor",
            environment: [
                "VYUHA_USE_CASE": useCase("nyc-taxi"), "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                "REDIS_URL": api.redis.url,
                "VYUHA_PORT": "0",
            ])
        var trips: [String] = []
        for index in 0..<200 {
            let changes: [String: JSONValue?] = [
                "pickup_zone": .integer(Int64(1 + index)), "duration": .integer(Int64(60 + 37 * index)),
                "distance": .number(Double(index) * 0.21), "fare": .number(2.5 + Double(index * index % 97)),
                "total": .number(3 + Double(index * index % 113)),
            ]
            trips.append(Self.trip(changes))
        }
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: [topics.events])
        for (index, trip) in trips.enumerated() {
            batch.append(topic: 0, partition: Int32(index % 2), key: Array("\(1 + index)".utf8), value: Array(trip.utf8))
            batch.header("id", "trip:\(index)")
        }
        try producer.send(batch)
        try producer.flush(timeout: 10_000)
        let tail = try TopicTail(broker.bootstrapServers, topics: [topics.scores, topics.deadLetter], partitions: 2)
        #expect(
            try withDeadline(40) {
                try tail.poll()
                return tail.records.count >= trips.count
            }, "\(processor.output)\n\(api.service.output)")
        let replies = try #require(try api.post("/predict", "[" + trips.joined(separator: ",") + "]").json?.array)
        var scores = Set<Double>()
        for (index, reply) in replies.enumerated() {
            let record = try #require(tail.records.first { $0.id == "trip:\(index)" }?.json)
            #expect(record["score"]?.double == reply["anomaly_score"]?.double)
            #expect(record["is_anomaly"]?.bool == reply["is_anomalous"]?.bool)
            #expect(record["status"]?.string == reply["status"]?.string)
            if let score = reply["anomaly_score"]?.double { scores.insert(score) }
        }
        #expect(replies.count == trips.count && scores.count > 50, "the events differ enough to mean something")
        #expect(try withDeadline(5) { try api.get("/ready").status == 200 })
    }

    @Test("a stop answers the request that is on its way and then ends")
    func drain() throws {
        let api = try ScoringFixture()
        let connection = try RawConnection(port: api.port)
        let body = Self.trip()
        connection.send("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\nExpect: 100-continue\r\n\r\n")
        // 100 proves that the service holds the headers, so the request is on its way.
        #expect(connection.receive { $0.contains("100 Continue") }.contains("100 Continue"))
        api.service.terminate()
        #expect(withDeadline(5) { (try? RawConnection(port: api.port)) == nil }, "the port refuses")
        connection.send(body)
        let answer = connection.receive { $0.hasSuffix("}") }
        #expect(answer.contains("HTTP/1.1 200") && answer.contains("anomaly_score") && answer.lowercased().contains("connection: close"), "\(answer)")
        #expect(api.service.wait(10) == 0, "\(api.service.output)")
    }
}
