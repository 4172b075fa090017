import Foundation
import HTTPClient
import TestSupport
import Testing

@Suite("the scoring service's HTTP side") struct ScoringServerTests {
    @Test("with certificate and key the port speaks HTTPS, and half of the pair is refused at the start")
    func tls() throws {
        let certificate = try Certificate()
        let files = ["VYUHA_TLS_CERTIFICATE_FILE": certificate.certificateFile, "VYUHA_TLS_KEY_FILE": certificate.keyFile]
        let api = try ScoringFixture(environment: files, scheme: "https", authority: certificate.certificateFile)
        #expect(try api.post("/predict", ScoringFixture.trip()).status == 200)
        #expect(try api.get("/health").status == 200)
        #expect(throws: HTTPClientError.self) { try HTTPClient().send(HTTPRequest(.get, api.base + "/health")) }
        #expect(!api.service.output.contains("BEGIN"), "a key is never logged")
        let (status, output) = try ServiceProcess.run(
            "scoring-service", ["--check-config"],
            environment: ["VYUHA_USE_CASE": useCase("nyc-taxi"), "VYUHA_TLS_KEY_FILE": certificate.keyFile], within: 20)
        #expect(status == 64 && output.contains("belong together"), "\(output)")
    }

    @Test("a client that stops in the middle, says nothing or trickles is cut off, and the others are served all the time")
    func slowClients() throws {
        let api = try ScoringFixture(environment: ["VYUHA_HTTP_IDLE_TIMEOUT": "1s", "VYUHA_HTTP_REQUEST_TIMEOUT": "1s"])
        let silent = try RawConnection(port: api.port)
        let halfOpen = try RawConnection(port: api.port)
        halfOpen.send("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{\"pickup")
        let trickling = try RawConnection(port: api.port)
        trickling.send("GET /health HTTP/1.1\r\n")
        let ended = try withDeadline(10) {
            trickling.send("x")
            let status = try api.post("/predict", ScoringFixture.trip()).status
            #expect(status == 200)
            return silent.hasEnded && halfOpen.hasEnded && trickling.hasEnded
        }
        #expect(ended)
    }

    @Test("more requests at a time than allowed get 503 and Retry-After as a problem document")
    func overload() throws {
        let api = try ScoringFixture(environment: ["VYUHA_HTTP_REQUESTS": "2"])
        let waiting = try (0..<2).map { _ in
            let connection = try RawConnection(port: api.port)
            connection.send("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(connection.receive { $0.contains("100 Continue") }.contains("100 Continue"))
            return connection
        }
        let refused = try api.exchange("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]")
        #expect(refused.hasPrefix("HTTP/1.1 503") && refused.contains("Retry-After: 1\r\n"), "\(refused)")
        #expect(refused.contains("application/problem+json"))
        for connection in waiting {
            connection.send("[]")
            #expect(connection.receive { $0.hasSuffix("[]") }.contains("HTTP/1.1 200"))
        }
        #expect(try withDeadline(5) { try api.post("/predict", "[]").status == 200 })
    }
}
