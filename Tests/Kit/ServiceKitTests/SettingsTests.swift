import Foundation
import Streaming
import Testing

@testable import ServiceKit

@Suite struct SettingsTests {
    private func reader(_ arguments: [String] = [], _ environment: [String: String] = [:]) -> SettingsReader {
        SettingsReader(arguments: arguments, environment: environment, switches: ["--yes"])
    }

    @Test("a flag wins over the variable, the variable over the default")
    func precedence() throws {
        for (arguments, environment, expected) in [
            ([], [:], 5), ([], ["VYUHA_BATCH_SIZE": "6"], 6), (["--batch-size", "7"], ["VYUHA_BATCH_SIZE": "6"], 7), (["--batch-size=8"], [:], 8),
        ] as [([String], [String: String], Int)] {
            var reader = reader(arguments, environment)
            let size = reader.integer("VYUHA_BATCH_SIZE", default: 5, in: 1...10, "")
            #expect(size == expected)
            try reader.finish()
        }
    }

    @Test("every mistake is told at once, each with its name and what would be right")
    func mistakes() {
        var reader = reader(["--batch-size", "many", "--batch-sise", "3", "--verbose-level=5"], ["VYUHA_BACH_SIZE": "3"])
        _ = reader.integer("VYUHA_BATCH_SIZE", default: 5, in: 1...10, "")
        _ = reader.choice("VYUHA_MODE", default: "slow", of: ["fast"], "")
        let error = #expect(throws: SettingsError.self) { try reader.finish() }
        #expect(
            error?.problems == [
                "VYUHA_BATCH_SIZE: \"many\" is not a whole number from 1 to 10.",
                "VYUHA_MODE: \"slow\" is not one of fast.",
                "Unknown option --batch-sise. Did you mean --batch-size?",
                "Unknown option --verbose-level. See --help.",
                "Unknown variable VYUHA_BACH_SIZE. Did you mean VYUHA_BATCH_SIZE?",
            ])
    }

    @Test("another service's variable in a shared environment is no mistake")
    func sharedEnvironment() throws {
        var reader = reader([], ["VYUHA_WEBHOOK_URL": "http://127.0.0.1/", "PATH": "/bin"])
        _ = reader.integer("VYUHA_BATCH_SIZE", default: 5, in: 1...10, "")
        try reader.finish()
    }

    @Test("a secret and a Kafka property may come from a file; other settings whose names end in _FILE are what they say")
    func secretFiles() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-secret-\(UUID().uuidString)").path
        try Data("s3cret\n".utf8).write(to: URL(filePath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        var reader = reader(
            [], ["REDIS_URL_FILE": file, "REDIS_URL": "", "VYUHA_KAFKA_SASL_PASSWORD_FILE": file, "VYUHA_API_TOKENS_FILE": "/tokens"])
        let secret = reader.string("REDIS_URL", default: "", secret: true, "")
        let path = reader.optionalString("VYUHA_API_TOKENS_FILE", "")
        let properties = CommonSettings.kafka(&reader).properties
        #expect(secret == "s3cret")
        #expect(path == "/tokens")
        #expect(properties.map(\.0) == ["sasl.password"] && properties.map(\.1) == ["s3cret"])
        try reader.finish()
    }

    @Test("a secret's file that is empty or blank is a mistake that names variable and file, and not a secret of no characters")
    func emptySecrets() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-secret-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        for content in ["", "\n", " \r\n\n"] {
            try Data(content.utf8).write(to: URL(filePath: file))
            var reader = reader([], ["REDIS_URL_FILE": file, "VYUHA_KAFKA_SASL_PASSWORD_FILE": file])
            _ = CommonSettings.redis(&reader)
            let properties = CommonSettings.kafka(&reader).properties
            #expect(properties.isEmpty)
            let error = #expect(throws: SettingsError.self) { try reader.finish() }
            #expect(
                error?.problems == [
                    "REDIS_URL_FILE: the file \(file) is empty; write the value of REDIS_URL into it, or unset REDIS_URL_FILE.",
                    "VYUHA_KAFKA_SASL_PASSWORD_FILE: the file \(file) is empty; write the value of VYUHA_KAFKA_SASL_PASSWORD into it, "
                        + "or unset VYUHA_KAFKA_SASL_PASSWORD_FILE.",
                ])
        }
    }

    @Test("a secret given twice, or in a file that is not there, is a mistake")
    func secretMistakes() {
        var reader = reader([], ["REDIS_URL_FILE": "/nowhere", "REDIS_URL": "x", "VYUHA_TOKEN_FILE": "/nowhere"])
        _ = reader.string("REDIS_URL", default: "", secret: true, "")
        _ = reader.string("VYUHA_TOKEN", default: "", secret: true, "")
        let error = #expect(throws: SettingsError.self) { try reader.finish() }
        #expect(
            error?.problems == [
                "REDIS_URL and REDIS_URL_FILE are both set; give one of them.", "VYUHA_TOKEN_FILE: the file /nowhere cannot be read.",
            ])
    }

    @Test("a switch takes no value, a setting needs one, a stray argument is refused")
    func shapes() {
        var reader = reader(["--yes", "stray", "--port"])
        let yes = reader.toggle("--yes", "")
        #expect(yes)
        _ = reader.optionalString("--port", "")
        let error = #expect(throws: SettingsError.self) { try reader.finish() }
        #expect(error?.problems == ["--port: needs a value.", "Unexpected argument \"stray\". See --help."])
    }

    @Test(
        "durations are read with their unit",
        arguments: [("500ms", 500), ("60s", 60_000), ("1.5m", 90_000), ("2h", 7_200_000), ("5", nil), ("s", nil), ("-1s", nil)])
    func durations(text: String, expected: Int?) {
        #expect(SettingsReader.milliseconds(text) == expected)
    }

    @Test("the report redacts secrets, those passed through to Kafka included")
    func redaction() {
        var reader = reader([], ["REDIS_URL": "redis://:hunter2@cache:6379", "VYUHA_KAFKA_SASL_PASSWORD": "hunter3"])
        _ = CommonSettings.redis(&reader)
        let kafka = CommonSettings.kafka(&reader)
        #expect(kafka.properties == ["sasl.password": "hunter3"])
        #expect(!reader.report.contains("hunter"))
        #expect(reader.report.contains("VYUHA_KAFKA_SASL_PASSWORD"))
    }
}
