import Contracts
import Foundation
import HTTPClient
import JSON
import KafkaClient
import TestSupport
import Testing

/// A running scoring service for taxi trips, with a Redis and a model of its own; ended when the test drops it.
final class ScoringFixture {
    let redis: RedisServer
    let service: ServiceProcess
    let port: Int
    let base: String
    private let client: HTTPClient
    private let folder: URL

    /// Rows of the sample that the model learns from: few, so that a test starts at once.
    private static let trainingRows = 600

    /// - Parameters:
    ///   - kafka: bootstrap servers; without one the stream side waits and `/predict` answers.
    ///   - hasModel: whether a model is trained first.
    ///   - environment: further settings of the service.
    ///   - scheme: `https` where the settings turn TLS on, with the file that vouches for the certificate.
    init(
        kafka: String = "127.0.0.1:9", hasModel: Bool = true, environment: [String: String] = [:], scheme: String = "http", authority: String? = nil
    ) throws {
        redis = try RedisServer(appendOnly: false)
        folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-scoring-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let common = ["VYUHA_USE_CASE": useCase("nyc-taxi"), "REDIS_URL": redis.url, "KAFKA_BOOTSTRAP_SERVERS": kafka]
        if hasModel {
            let sample = try String(contentsOfFile: useCase("nyc-taxi") + "/sample/train.csv", encoding: .utf8)
            let rows = sample.split(separator: "\n").prefix(Self.trainingRows).joined(separator: "\n")
            let file = folder.appending(path: "train.csv")
            try Data(rows.utf8).write(to: file)
            let (status, output) = try ServiceProcess.run("trainer", ["fit", "--csv", file.path], environment: common, within: 240)
            try #require(status == 0, "\(output)")
        }
        let settings = common.merging(["VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "0", "VYUHA_LOG_FORMAT": "json"]) { $1 }.merging(environment) { $1 }
        let started = try ServiceProcess("scoring-service", environment: settings)
        service = started
        var found: Int?
        _ = withDeadline(60) {
            found = started.output.firstMatch(of: /"message":"started".*"port":(\d+)/).flatMap { Int($0.1) }
            return found != nil || !started.isRunning
        }
        port = try #require(found, "\(started.output)")
        base = "\(scheme)://localhost:\(port)"
        var options = HTTPClientSettings()
        options.certificateAuthorityFile = authority
        client = try HTTPClient(options)
        if hasModel {
            // A model for each feature set: trips and demand.
            let inUse = try withDeadline(60) { try get("/metrics").text.contains(/vyuha_model_swaps_total\{[^}]*\} 2/) }
            try #require(inUse, "\(started.output)")
        }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func get(_ path: String, headers: [String: String] = [:]) throws -> HTTPResponse { try send(.get, path, headers: headers) }

    func post(_ path: String, _ body: String, headers: [String: String] = [:]) throws -> HTTPResponse {
        try send(.post, path, body, headers: headers.merging(["Content-Type": "application/json"]) { $1 })
    }

    func send(_ method: HTTPMethod, _ path: String, _ body: String = "", headers: [String: String] = [:]) throws -> HTTPResponse {
        try client.send(HTTPRequest(method, base + path, headers: headers.map { HTTPHeader($0.key, $0.value) }, body: Array(body.utf8)))
    }

    /// Sends these very bytes and gives all that comes back until the service ends the connection.
    func exchange(_ request: String) throws -> String {
        let connection = try RawConnection(port: port)
        connection.send(request)
        return connection.receive()
    }

    /// A trip that is good, with some of its fields replaced or (with nil) left out.
    static func trip(_ changes: [String: JSONValue?] = [:]) -> String {
        var members: [JSONMember] = [
            JSONMember("pickup_time", "2019-01-01T00:00:50-05:00"), JSONMember("pickup_zone", 132), JSONMember("dropoff_zone", 140),
            JSONMember("passengers", 1), JSONMember("rate_code", 2), JSONMember("payment_type", 1), JSONMember("duration", 1858),
            JSONMember("distance", 18), JSONMember("fare", 52), JSONMember("mta_tax", 0.5), JSONMember("improvement_surcharge", 0.3),
            JSONMember("tip", 7), JSONMember("tolls", 0), JSONMember("total", 59.8),
        ]
        for (name, value) in changes {
            members.removeAll { $0.name == name }
            if let value { members.append(JSONMember(name, value)) }
        }
        return JSONValue.object(members).text
    }
}

extension HTTPResponse {
    var json: JSONValue? { try? JSONValue.parse(body) }
    /// `loc` and `type` of each entry of a 422: `body.fare out-of-range`.
    var mistakes: [String] {
        (json?["detail"]?.array ?? []).map { entry in
            let place = (entry["loc"]?.array ?? []).map { $0.string ?? $0.integer.map(String.init) ?? "?" }.joined(separator: ".")
            return place + " " + (entry["type"]?.string ?? "")
        }
    }
}
