import HTTPServer
import Testing

@testable import ServiceKit

@Suite struct ProbeTests {
    @Test("the probe says yes to a ready service, no to one that is not, and no where nobody listens")
    func answers() throws {
        let life = Lifecycle()
        let service = Service(name: "probed", log: Logger(service: "probed", level: .error, format: .text), metrics: Metrics(), life: life)
        let server = try AdminServer(HTTPServerSettings(host: "127.0.0.1", port: 0), service: service, routes: nil)
        #expect(!Probe.isReady(port: server.port))
        life.obstacle = nil
        #expect(Probe.isReady(port: server.port))
        let port = server.port
        server.stop()
        #expect(!Probe.isReady(port: port))
    }
}
