import Glibc
import HTTPClient
import HTTPServer
import Synchronization
import TestSupport
import Testing

/// A server that says what it received.
private func echo(_ change: (inout HTTPServerSettings) -> Void = { _ in }) throws -> HTTPServer {
    var settings = HTTPServerSettings()
    change(&settings)
    return try HTTPServer(settings) { request in
        if request.isPath("/echo") { return HTTPServerResponse(body: request.body) }
        if request.isPath("/say") {
            let parts = ["\(request.method)", request.path, request.query("q") ?? "none", request.header("x-test") ?? "none"]
            return .text(parts.joined(separator: " "))
        }
        if request.hasPathPrefix("/only-post") { return .methodNotAllowed(allow: "POST") }
        return .notFound
    }
}

private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let duration = try ContinuousClock().measure(body)
    return Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) / 1e15
}

@Suite("HTTP client and server together") struct HTTPTests {
    @Test("bodies of every byte and of many sizes come back", arguments: [0, 1, 150, 5_000, 70_000, 1_048_576])
    func bodies(size: Int) throws {
        let server = try echo()
        defer { server.stop() }
        let client = try HTTPClient()
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for method in [HTTPMethod.post, .put] {
            let response = try client.send(HTTPRequest(method, "http://127.0.0.1:\(server.port)/echo", body: body))
            #expect(response.status == 200)
            #expect(response.body == body)
            #expect(response.header("content-type") == "application/json")
        }
    }

    @Test("method, path, query and header arrive decoded") func request() throws {
        let server = try echo()
        defer { server.stop() }
        let client = try HTTPClient()
        let base = "http://127.0.0.1:\(server.port)"
        let headers = [HTTPHeader("X-Test", "a b")]
        #expect(try client.send(HTTPRequest(.get, base + "/say?q=1%262&q=3", headers: headers)).text == "get /say 1&2 a b")
        #expect(try client.send(HTTPRequest(.delete, base + "/say")).text == "delete /say none none")
        #expect(try client.send(HTTPRequest(.get, base + "/elsewhere")).status == 404)
        #expect(try client.send(HTTPRequest(.get, base + "/s%61y")).text == "get /say none none")
        let refused = try client.send(HTTPRequest(.get, base + "/only-post/x"))
        #expect(refused.status == 405)
        #expect(refused.header("allow") == "POST")
        let head = try client.send(HTTPRequest(.head, base + "/say"))
        #expect(head.status == 200)
        #expect(head.body.isEmpty)
        #expect(head.header("content-length") == "18")
    }

    @Test("many requests share one connection") func keepAlive() throws {
        let accepted = Atomic<Int>(0)
        let server = try RawServer { peer in
            accepted.wrappingAdd(1, ordering: .relaxed)
            var buffer = [UInt8](repeating: 0, count: 4096)
            while read(peer, &buffer, buffer.count) > 0 {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                _ = write(peer, answer, answer.utf8.count)
            }
        }
        let client = try HTTPClient()
        for _ in 0..<20 { #expect(try client.send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/")).text == "ok") }
        #expect(accepted.load(ordering: .relaxed) == 1)
        _ = consume client
        server.stop()
    }

    @Test("several threads serve several clients") func threads() throws {
        let server = try echo { $0.threads = 3 }
        defer { server.stop() }
        for index in 0..<12 {
            let body = Array("client \(index)".utf8)
            #expect(try HTTPClient().send(HTTPRequest(.post, "http://127.0.0.1:\(server.port)/echo", body: body)).body == body)
        }
    }
}

@Suite("HTTP client") struct HTTPClientTests {
    @Test(
        "what could smuggle a header or leave http is refused",
        arguments: [
            HTTPRequest(.get, "file:///etc/passwd"), HTTPRequest(.get, "localhost"), HTTPRequest(.get, "http://a b/"),
            HTTPRequest(.get, "http://localhost/\r\nX: y"), HTTPRequest(.get, "http://localhost/", headers: [HTTPHeader("X", "a\r\nY: b")]),
            HTTPRequest(.get, "http://localhost/", headers: [HTTPHeader("X\nY", "a")]),
            HTTPRequest(.get, "http://localhost/", headers: [HTTPHeader("", "a")]),
            HTTPRequest(.get, "http://localhost/", headers: [HTTPHeader("X:", "a")]),
            HTTPRequest(.get, "http://localhost/", headers: [HTTPHeader("X", "a\0b")]),
        ])
    func refused(request: HTTPRequest) throws {
        let client = try HTTPClient()
        #expect(#expect(throws: HTTPClientError.self) { try client.send(request) }?.kind == .invalidRequest)
    }

    @Test("a server that is absent, silent or breaks off has its own error, without the path") func failures() throws {
        let client = try HTTPClient()
        let absent = #expect(throws: HTTPClientError.self) {
            try client.send(HTTPRequest(.get, "http://127.0.0.1:\(try freePort())/secret"))
        }
        #expect(absent?.kind == .unreachable)
        #expect(absent?.message.contains("secret") == false)
        let silent = try RawServer { peer in
            var byte: UInt8 = 0
            while read(peer, &byte, 1) > 0 {}
        }
        let took = milliseconds {
            let late = #expect(throws: HTTPClientError.self) {
                try client.send(HTTPRequest(.get, "http://127.0.0.1:\(silent.port)/secret", timeout: 100))
            }
            #expect(late?.kind == .timeout)
            #expect(late?.isRetryable == true)
        }
        #expect(took >= 95 && took < 2_000)
        silent.stop()
        let breaking = try RawServer { peer in
            var buffer = [UInt8](repeating: 0, count: 4096)
            _ = read(peer, &buffer, buffer.count)
            let part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
            _ = write(peer, part, part.utf8.count)
        }
        let broken = #expect(throws: HTTPClientError.self) { try client.send(HTTPRequest(.get, "http://127.0.0.1:\(breaking.port)/")) }
        #expect(broken?.kind == .connectionLost)
        breaking.stop()
    }

    @Test("a response above the limit is an error, and the client still works") func tooLarge() throws {
        let server = try echo()
        defer { server.stop() }
        var settings = HTTPClientSettings()
        settings.maximumResponseBytes = 1_000
        let client = try HTTPClient(settings)
        func send(_ size: Int) throws -> HTTPResponse {
            try client.send(HTTPRequest(.post, "http://127.0.0.1:\(server.port)/echo", body: [UInt8](repeating: 65, count: size)))
        }
        #expect(try send(1_000).body.count == 1_000)
        #expect(#expect(throws: HTTPClientError.self) { try send(100_000) }?.kind == .tooLarge)
        #expect(try send(10).body.count == 10)
    }

    @Test("a redirect is an answer, not followed") func redirect() throws {
        let server = try HTTPServer(HTTPServerSettings()) { _ in HTTPServerResponse(status: 302, headers: [("Location", "/other")]) }
        defer { server.stop() }
        let response = try HTTPClient().send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/"))
        #expect(response.status == 302)
        #expect(response.header("Location") == "/other")
    }

    @Test("a stop ends an exchange under way") func stop() throws {
        let silent = try RawServer { peer in
            var byte: UInt8 = 0
            while read(peer, &byte, 1) > 0 {}
        }
        defer { silent.stop() }
        let client = try HTTPClient()
        var asked = 0
        let error = #expect(throws: HTTPClientError.self) {
            try client.send(
                HTTPRequest(.get, "http://127.0.0.1:\(silent.port)/"),
                shouldContinue: {
                    asked += 1
                    return asked < 3
                })
        }
        #expect(error?.kind == .stopped)
    }
}

@Suite("HTTP retries") struct RetryTests {
    /// A server that fails so many times with the status and then answers, and the number of requests that it has seen.
    private final class Failing: Sendable {
        let seen = Atomic<Int>(0)
        let failures: Int
        let status: Int
        let retryAfter: String?

        init(_ failures: Int, _ status: Int, retryAfter: String? = nil) {
            self.failures = failures
            self.status = status
            self.retryAfter = retryAfter
        }

        func start() throws -> HTTPServer {
            try HTTPServer(HTTPServerSettings()) { [self] _ in
                let number = seen.wrappingAdd(1, ordering: .relaxed).newValue
                if number > failures { return .text("done") }
                var response = HTTPServerResponse(status: status)
                if let retryAfter { response.headers.append(("Retry-After", retryAfter)) }
                return response
            }
        }
    }

    private var quick: RetryPolicy {
        var policy = RetryPolicy()
        policy.initialBackoff = 1
        policy.maximumBackoff = 10
        return policy
    }

    @Test(
        "passing failures are tried again, others are not",
        arguments: [(2, 503, 3, 200), (4, 500, 5, 200), (9, 429, 5, 429), (1, 404, 1, 404), (1, 400, 1, 400), (0, 503, 1, 200)])
    func statuses(failures: Int, status: Int, requests: Int, result: Int) throws {
        let failing = Failing(failures, status)
        let server = try failing.start()
        defer { server.stop() }
        var reasons: [String] = []
        let response = try HTTPClient().send(
            HTTPRequest(.post, "http://127.0.0.1:\(server.port)/", body: [1]), retry: quick, onRetry: { reasons.append($0) })
        #expect(response.status == result)
        #expect(failing.seen.load(ordering: .relaxed) == requests)
        #expect(reasons.count == requests - 1)
        #expect(reasons.allSatisfy { $0.contains("\(status)") })
    }

    @Test("Retry-After is waited for") func retryAfter() throws {
        let failing = Failing(1, 429, retryAfter: "1")
        let server = try failing.start()
        defer { server.stop() }
        var status = 0
        let took = try milliseconds {
            status = try HTTPClient().send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/"), retry: quick).status
        }
        #expect(status == 200)
        #expect(took >= 995 && took < 5_000)
    }

    @Test("a Retry-After beyond the deadline gives the response up at once") func retryAfterTooLong() throws {
        let failing = Failing(1, 503, retryAfter: "3600")
        let server = try failing.start()
        defer { server.stop() }
        let response = try HTTPClient().send(HTTPRequest(.get, "http://127.0.0.1:\(server.port)/"), retry: quick)
        #expect(response.status == 503)
        #expect(response.retryAfter == 3600)
        #expect(failing.seen.load(ordering: .relaxed) == 1)
    }

    @Test("an absent server is tried until the deadline or a stop") func absent() throws {
        let url = "http://127.0.0.1:\(try freePort())/"
        var policy = quick
        policy.maximumAttempts = 1_000_000
        policy.deadline = 200
        let client = try HTTPClient()
        let took = milliseconds {
            #expect(#expect(throws: HTTPClientError.self) { try client.send(HTTPRequest(.get, url), retry: policy) }?.kind == .unreachable)
        }
        #expect(took >= 150 && took < 2_000)
        policy.deadline = 60_000
        var goesOn = true
        let error = #expect(throws: HTTPClientError.self) {
            try client.send(HTTPRequest(.get, url), retry: policy, shouldContinue: { goesOn }, onRetry: { _ in goesOn = false })
        }
        #expect(error?.kind == .stopped)
    }
}

@Suite("HTTP server, spoken to byte by byte") struct HTTPServerTests {
    private let post = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"

    @Test("pipelined requests are answered in order on one connection") func pipelined() throws {
        let server = try echo()
        defer { server.stop() }
        let raw = try RawClient(port: server.port)
        let requests = (0..<50).map { "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n<\($0 + 10)>" }
        raw.send(requests.joined())
        let answer = raw.receive { $0.hasSuffix("<59>") }
        let order = answer.split(separator: "<").dropFirst().compactMap { Int($0.prefix(2)) }
        #expect(order == Array(10..<60))
    }

    @Test("a request in single bytes and a chunked body are understood") func slowButAlive() throws {
        let server = try echo()
        defer { server.stop() }
        let raw = try RawClient(port: server.port)
        for byte in post.utf8 { raw.send([byte]) }
        #expect(raw.receive { $0.hasSuffix("hello") }.hasPrefix("HTTP/1.1 200"))
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        #expect(raw.receive { $0.hasSuffix("abcde") }.hasPrefix("HTTP/1.1 200"))
    }

    @Test("a body that is too large is answered with 413, however it is announced") func tooLarge() throws {
        let server = try echo { $0.maximumBodyBytes = 10_000 }
        defer { server.stop() }
        let body = [UInt8](repeating: 65, count: 10_001)
        let announced = try RawClient(port: server.port)
        announced.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n")
        announced.send(body)
        #expect(announced.receive { $0.contains("The body") }.hasPrefix("HTTP/1.1 413"))
        // The connection is still good.
        announced.send(post)
        #expect(announced.receive { $0.hasSuffix("hello") }.contains("HTTP/1.1 200"))
        let chunked = try RawClient(port: server.port)
        chunked.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n")
        chunked.send(body)
        chunked.send("\r\n0\r\n\r\n")
        #expect(chunked.receive { $0.contains("The body") }.hasPrefix("HTTP/1.1 413"))
        let waiting = try RawClient(port: server.port)
        waiting.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\nExpect: 100-continue\r\n\r\n")
        #expect(waiting.receive { $0.contains("413") }.hasPrefix("HTTP/1.1 413"))
        let huge = try RawClient(port: server.port)
        huge.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        #expect(huge.receive { $0.contains("413") }.hasPrefix("HTTP/1.1 413"))
        let exact = try RawClient(port: server.port)
        exact.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        exact.send(Array(body.dropLast()))
        #expect(exact.receive { $0.hasSuffix("AAAA") }.hasPrefix("HTTP/1.1 200"))
    }

    @Test("100-continue is sent to a client that waits for it") func expectContinue() throws {
        let server = try echo()
        defer { server.stop() }
        let raw = try RawClient(port: server.port)
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        #expect(raw.receive { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 100"))
        raw.send("hello")
        #expect(raw.receive { $0.hasSuffix("hello") }.hasPrefix("HTTP/1.1 200"))
    }

    @Test("headers that are too large are answered with 431 or 414") func largeHeaders() throws {
        let server = try echo { $0.maximumHeaderBytes = 4_096 }
        defer { server.stop() }
        let fits = try RawClient(port: server.port)
        fits.send("GET /say HTTP/1.1\r\nHost: x\r\nX-Test: \(String(repeating: "a", count: 3_500))\r\n\r\n")
        #expect(fits.receive { $0.hasSuffix("aaa") }.hasPrefix("HTTP/1.1 200"))
        let header = try RawClient(port: server.port)
        header.send("GET /say HTTP/1.1\r\nHost: x\r\nX-Test: \(String(repeating: "a", count: 20_000))\r\n\r\n")
        #expect(header.receive { $0.contains("HTTP/1.1 4") }.hasPrefix("HTTP/1.1 431"))
        let target = try RawClient(port: server.port)
        target.send("GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\nHost: x\r\n\r\n")
        let answer = target.receive { $0.contains("HTTP/1.1 4") }
        #expect(answer.hasPrefix("HTTP/1.1 414") || answer.hasPrefix("HTTP/1.1 431"))
    }

    @Test("unknown methods are for the handler to refuse and garbage ends only its own connection") func garbage() throws {
        let server = try echo()
        defer { server.stop() }
        let brewing = try RawClient(port: server.port)
        brewing.send("BREW /only-post HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(brewing.receive { $0.contains("This path") }.hasPrefix("HTTP/1.1 405"))
        for text in ["\0\0\0\0\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/9.9.9\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n"] {
            let raw = try RawClient(port: server.port)
            raw.send(text)
            raw.finishSending()
            #expect(raw.isClosedByServer())
        }
        let good = try RawClient(port: server.port)
        good.send(post)
        #expect(good.receive { $0.hasSuffix("hello") }.hasPrefix("HTTP/1.1 200"))
    }

    @Test("an idle client, a half-open one and one that trickles are cut off") func slow() throws {
        let server = try echo {
            $0.idleTimeout = 1
            $0.requestTimeout = 1
        }
        defer { server.stop() }
        let idle = try RawClient(port: server.port)
        let halfOpen = try RawClient(port: server.port)
        halfOpen.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
        let trickling = try RawClient(port: server.port)
        trickling.send("GET /say HTTP/1.1\r\n")
        // Never idle for a second, never complete.
        let ended = withDeadline(8) {
            trickling.send("x")
            usleep(20_000)
            return trickling.hasEnded
        }
        #expect(ended)
        #expect(idle.isClosedByServer())
        #expect(halfOpen.isClosedByServer())
    }

    @Test("a port in use and an unknown host are clear errors") func inUse() throws {
        let server = try echo()
        defer { server.stop() }
        let used = #expect(throws: HTTPServerError.self) { try echo { $0.port = server.port } }
        #expect(used?.message.contains("The port \(server.port) on 127.0.0.1 is in use") == true)
        #expect(throws: HTTPServerError.self) { try echo { $0.host = "no such host" } }
        #expect(throws: HTTPServerError.self) { try echo { $0.port = 70_000 } }
    }

    @Test("connections above the limit wait until another is closed") func connectionLimit() throws {
        let server = try echo { $0.maximumConnections = 2 }
        defer { server.stop() }
        var first: RawClient? = try RawClient(port: server.port)
        let second = try RawClient(port: server.port)
        for client in [first, second] {
            client?.send(post)
            #expect(client?.receive { $0.hasSuffix("hello") }.hasPrefix("HTTP/1.1 200") == true)
        }
        let third = try RawClient(port: server.port)
        third.send(post)
        first = nil
        #expect(third.receive { $0.hasSuffix("hello") }.hasPrefix("HTTP/1.1 200"))
    }

    @Test("an answer repeats a request id that can be used and makes one otherwise; errors are problem documents") func requestIDs() throws {
        let server = try echo { $0.maximumBodyBytes = 10 }
        defer { server.stop() }
        let client = try HTTPClient()
        let base = "http://127.0.0.1:\(server.port)"
        func id(_ given: String) throws -> String? {
            try client.send(HTTPRequest(.get, base + "/say", headers: [HTTPHeader("X-Request-Id", given)])).header("x-request-id")
        }
        #expect(try id("abc.1") == "abc.1")
        #expect(try id(String(repeating: "x", count: 128)) == String(repeating: "x", count: 128))
        let first = try #require(try id(""))
        #expect(first.utf8.count == 16)
        #expect(try id("a b")?.utf8.count == 16 && id(String(repeating: "x", count: 129))?.utf8.count == 16 && id("") != first)
        let quiet = try echo { $0.repeatsRequestID = false }
        defer { quiet.stop() }
        #expect(try client.send(HTTPRequest(.get, "http://127.0.0.1:\(quiet.port)/say")).header("x-request-id") == nil)
        for (path, status, title) in [
            ("/elsewhere", 404, "Not Found"), ("/only-post", 405, "Method Not Allowed"), ("/echo", 413, "Content Too Large"),
        ] {
            let body = [UInt8](repeating: 65, count: status == 413 ? 11 : 0)
            let response = try client.send(HTTPRequest(status == 413 ? .post : .get, base + path, body: body))
            #expect(response.status == status)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.text.hasPrefix(#"{"type":"about:blank","title":"\#(title)","status":\#(status),"detail":""#), "\(response.text)")
        }
        let text = String(decoding: HTTPServerResponse.problem(400, "a \"b\" \\ \n c").body, as: UTF8.self)
        #expect(text == #"{"type":"about:blank","title":"Bad Request","status":400,"detail":"a \"b\" \\   c"}"#)
    }

    @Test("requests above the limit are answered with 503 and Retry-After, and there is room again when one ends") func requestLimit() throws {
        let server = try echo { $0.maximumRequests = 2 }
        defer { server.stop() }
        let half = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        let waiting = try (0..<2).map { _ in try RawClient(port: server.port) }
        for client in waiting {
            client.send(half)
            #expect(client.receive { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 100"))
        }
        let third = try RawClient(port: server.port)
        third.send(post)
        let refused = third.receive()
        #expect(
            refused.hasPrefix("HTTP/1.1 503") && refused.contains("Retry-After: 1\r\n") && refused.contains("application/problem+json"), "\(refused)")
        waiting[0].send("hello")
        #expect(waiting[0].receive { $0.hasSuffix("hello") }.contains("HTTP/1.1 200"))
        #expect(
            try withDeadline(5) {
                let again = try RawClient(port: server.port)
                again.send(post)
                return again.receive { $0.hasSuffix("hello") || $0.hasSuffix("}") }.hasPrefix("HTTP/1.1 200")
            })
    }

    @Test("with a certificate the port speaks TLS only, and a client that trusts it is answered") func tls() throws {
        let certificate = try Certificate()
        let tls = try HTTPServerTLS(certificateFile: certificate.certificateFile, keyFile: certificate.keyFile)
        #expect("\(tls)" == "<TLS>")
        let server = try echo { $0.tls = tls }
        defer { server.stop() }
        var settings = HTTPClientSettings()
        settings.certificateAuthorityFile = certificate.certificateFile
        let client = try HTTPClient(settings)
        let body = [UInt8](repeating: 7, count: 200_000)
        let response = try client.send(HTTPRequest(.post, "https://localhost:\(server.port)/echo", body: body))
        #expect(response.status == 200 && response.body == body)
        #expect(throws: HTTPClientError.self) { try HTTPClient().send(HTTPRequest(.get, "https://localhost:\(server.port)/say")) }
        let plain = try RawClient(port: server.port)
        plain.send(post)
        #expect(!plain.receive().contains("200 OK"))
        let missing = #expect(throws: HTTPServerError.self) { try HTTPServerTLS(certificateFile: "/nowhere", keyFile: certificate.keyFile) }
        #expect(missing?.message.contains("/nowhere") == true)
        let other = try Certificate()
        let mixed = try HTTPServerTLS(certificateFile: certificate.certificateFile, keyFile: other.keyFile)
        #expect(throws: HTTPServerError.self) { try echo { $0.tls = mixed } }
    }

    @Test("a stop lets a request in flight finish and accepts no other") func gracefulStop() throws {
        let server = try echo()
        let idle = try RawClient(port: server.port)
        let raw = try RawClient(port: server.port)
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        // The answer 100 proves that the server holds the headers, so the request is in flight.
        _ = raw.receive { $0.hasSuffix("\r\n\r\n") }
        let stopping = Stopping(server)
        // Once the port refuses, the stop has begun.
        #expect(withDeadline(5) { (try? RawClient(port: server.port)) == nil })
        raw.send("hello")
        let answer = raw.receive()
        #expect(answer.hasPrefix("HTTP/1.1 200"))
        #expect(answer.hasSuffix("hello"))
        #expect(answer.lowercased().contains("connection: close"))
        #expect(idle.isClosedByServer())
        #expect(stopping.join() < 5)
    }

    @Test("a stop does not wait longer than its grace for a client that never ends") func boundedStop() throws {
        let server = try echo()
        let raw = try RawClient(port: server.port)
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        _ = raw.receive { $0.hasSuffix("\r\n\r\n") }
        let took = milliseconds { server.stop(graceSeconds: 0.1) }
        #expect(took >= 95 && took < 3_000)
        server.stop()
    }
}

/// A server being stopped by another thread.
private final class Stopping: @unchecked Sendable {
    private let server: HTTPServer
    private var thread = pthread_t()
    private var seconds = 0.0

    init(_ server: HTTPServer) {
        self.server = server
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let stopping = Unmanaged<Stopping>.fromOpaque(argument).takeUnretainedValue()
                stopping.seconds = milliseconds { stopping.server.stop(graceSeconds: 10) } / 1000
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Waits for the end of the stop; how long it took in seconds.
    func join() -> Double {
        pthread_join(thread, nil)
        return seconds
    }
}
