import TestSupport
import Testing

/// The short form of `make crash-test`, on the embedded broker.
@Suite struct CrashTests {
    @Test("kills of processor, scorer and writer change no feature, score, online value or alert")
    func shortForm() throws {
        let definition = repository + "/Tests/Tools/SuiteTests/Definitions/crash"
        let (status, output) = try ServiceProcess.run(
            "vyuhactl", ["crash-test", "--use-case", definition, "--disturbances", "3", "--rate", "300"],
            environment: ["KAFKA_BOOTSTRAP_SERVERS": "", "VYUHA_DELIVERY": ""], within: 600)
        #expect(status == 0, "\(output)")
        #expect(output.contains("crash-test: 3 disturbances, lost 0, doubled 0, different 0"), "\(output)")
    }
}
