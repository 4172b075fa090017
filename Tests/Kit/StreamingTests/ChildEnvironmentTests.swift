import KafkaClient
import ServiceKit
import Testing
import Streaming

@Suite struct ChildEnvironmentTests {
    @Test("a value for a child takes the place of the file that stood for it, and the child's reader accepts it")
    func secretFromFile() throws {
        var environment = ChildEnvironment(["REDIS_URL_FILE": "/nowhere", "VYUHA_KAFKA_SASL_PASSWORD_FILE": "/kept", "OTHER": "1"])
        environment["REDIS_URL"] = "redis://127.0.0.1:1"
        #expect(
            environment.variables == [
                "REDIS_URL": "redis://127.0.0.1:1", "VYUHA_KAFKA_SASL_PASSWORD_FILE": "/kept", "OTHER": "1",
            ])
        var reader = SettingsReader(arguments: [], environment: ["REDIS_URL": "redis://127.0.0.1:1"])
        #expect(CommonSettings.redis(&reader) != nil)
        environment["REDIS_URL"] = nil
        #expect(environment["REDIS_URL"] == nil && environment["REDIS_URL_FILE"] == nil)
    }

    @Test("an embedded broker's children get what suits it, unless the user has said otherwise")
    func embeddedBroker() {
        var environment = ChildEnvironment([:])
        environment.use(embeddedBroker: "127.0.0.1:9")
        #expect(environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:9")
        for (property, value) in EmbeddedBroker.clientProperties {
            let name = "VYUHA_KAFKA_" + property.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
            #expect(environment[name] == value)
        }
        var own = ChildEnvironment(["VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "77"])
        own.use(embeddedBroker: "127.0.0.1:9")
        #expect(own["VYUHA_KAFKA_FETCH_WAIT_MAX_MS"] == "77")
    }
}
