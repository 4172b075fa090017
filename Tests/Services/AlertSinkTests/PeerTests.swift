import Contracts
import Foundation
import HTTPClient
import JSON
import ServiceKit
import TestSupport
import Testing

@testable import AlertSink

/// The receivers against the real thing. A peer that is not installed is named by the skipped test.
@Suite("Receivers against real peers")
struct PeerTests {
    private static let entry = OutboxEntry(id: "1-0", alert: [], anomaly: [], admittedAt: 0, source: .init(partition: 0, offset: 0, timestamp: 0))

    // MARK: HTTP

    @Test("A webhook's signature is the HMAC of time and body, as another implementation computes it")
    func signature() throws {
        let server = try WebhookServer()
        let receiver = try WebhookReceiver(url: server.url, timeout: 2_000, secret: "key")
        try receiver.deliver(try message("x9/1"), Self.entry, shouldContinue: { true })
        let request = try #require(server.state.withLock { $0.requests.first })
        #expect(request.key == "x9/1")
        let parts = request.signature.split(separator: ",")
        let seconds = try #require(parts.first?.dropFirst(2).description)
        // RFC 4231, test case 2, for the function itself.
        #expect(
            hmacSHA256(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(parts.last.map { String($0) } == "v1=" + hmacSHA256(key: Array("key".utf8), Array("\(seconds).".utf8) + request.body))
    }

    @Test("Slack gets a text and an attachment, with its markup escaped")
    func slack() throws {
        let server = try WebhookServer()
        try SlackReceiver(url: server.url, timeout: 2_000).deliver(try message("x9/1"), Self.entry, shouldContinue: { true })
        let json = try JSONValue.parse(try #require(server.state.withLock { $0.requests.first?.body }))
        #expect(json["text"]?.string == "Zone a")
        #expect(json["attachments"]?[0]?["text"]?.string == "It is &lt;odd&gt; &amp; wrong.")
        #expect(json["attachments"]?[0]?["color"]?.string == "danger")
    }

    // MARK: Alertmanager

    private static let alertmanager = tool(["prometheus-alertmanager", "alertmanager"])

    @Test(
        "Prometheus' Alertmanager takes an alert, shows it once however often it is told, and resolves it",
        .enabled(if: alertmanager != nil, "prometheus-alertmanager is not installed; services/scripts/setup.sh --tests installs it"))
    func prometheusAlertmanager() throws {
        let program = try #require(Self.alertmanager)
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let configuration = folder.appending(path: "alertmanager.yml")
        try "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n".write(to: configuration, atomically: true, encoding: .utf8)
        let port = try freePort()
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = [
            "--config.file=\(configuration.path)", "--storage.path=\(folder.path)/data", "--web.listen-address=127.0.0.1:\(port)",
            "--cluster.listen-address=",
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        defer {
            end(process)
        }
        let client = try HTTPClient()
        let url = "http://127.0.0.1:\(port)"
        #expect(withDeadline(30) { (try? client.send(HTTPRequest(.get, url + "/-/ready")).isSuccess) ?? false })
        let receiver = try AlertmanagerReceiver(url: url, timeout: 5_000, useCase: "taxi", holds: 3_600_000)
        func known() throws -> [JSONValue] {
            try JSONValue.parse(client.send(HTTPRequest(.get, url + "/api/v2/alerts")).body).array ?? []
        }
        let now = Clock.milliseconds
        for _ in 0..<3 { try receiver.deliver(try message("x9/1", group: "zone 132", at: now - 1_000), Self.entry, shouldContinue: { true }) }
        try receiver.deliver(try message("x9/2", group: "zone 132", event: "updated", at: now), Self.entry, shouldContinue: { true })
        try receiver.deliver(try message("y1/1", group: "zone 7", at: now), Self.entry, shouldContinue: { true })
        #expect(try withDeadline(10) { try known().count == 2 })
        let alert = try #require(try known().first { $0["labels"]?["group"]?.string == "zone 132" })
        #expect(alert["labels"]?["use_case"]?.string == "taxi")
        #expect(alert["annotations"]?["description"]?.string == "It is <odd> & wrong.")
        #expect(alert["status"]?["state"]?.string == "active")
        try receiver.deliver(
            try message("x9/3", group: "zone 132", event: "resolved", at: Clock.milliseconds), Self.entry, shouldContinue: { true })
        #expect(try withDeadline(10) { try known().compactMap { $0["labels"]?["group"]?.string } == ["zone 7"] })
    }

    // MARK: Mail

    /// A Python that has aiosmtpd: `VYUHA_TEST_PYTHON`, the first on the path, or Debian's.
    private static let python = [ProcessInfo.processInfo.environment["VYUHA_TEST_PYTHON"], tool(["python3"]), "/usr/bin/python3"].compactMap { $0 }
        .first { program in
            let process = Process()
            process.executableURL = URL(filePath: program)
            process.arguments = ["-c", "import aiosmtpd"]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return false }
            return withDeadline(20) { !process.isRunning } && process.terminationStatus == 0
        }

    /// Prints one line per mail: subject, message id, recipients and decoded text as JSON; refuses `refused@…` and is busy for `busy@…`.
    private static let mailServer = """
        import asyncio, email, email.policy, json, sys
        from aiosmtpd.controller import Controller
        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address.startswith('refused'): return '550 no such user'
                if address.startswith('busy'): return '451 try later'
                envelope.rcpt_tos.append(address)
                return '250 OK'
            async def handle_DATA(self, server, session, envelope):
                m = email.message_from_bytes(envelope.content, policy=email.policy.default)
                print(json.dumps({'subject': m['subject'], 'id': m['message-id'], 'references': m['references'], 'date': m['date'],
                                  'to': envelope.rcpt_tos, 'from': envelope.mail_from, 'text': m.get_content()}), flush=True)
                return '250 taken'
        controller = Controller(Handler(), hostname='127.0.0.1', port=int(sys.argv[1]))
        controller.start()
        print('ready', flush=True)
        sys.stdin.read()
        """

    @Test(
        "An SMTP server takes a mail with its subject in any language; a refusal and being busy are told apart; while it is away, so is it",
        .enabled(if: python != nil, "python3-aiosmtpd is not installed; services/scripts/setup.sh --tests installs it"))
    func mail() throws {
        let port = try freePort()
        let process = Process()
        process.executableURL = URL(filePath: try #require(Self.python))
        process.arguments = ["-c", Self.mailServer, "\(port)"]
        let input = Pipe()
        let output = FileManager.default.temporaryDirectory.appending(path: "vyuha-mail-\(port)-\(getpid())")
        defer { try? FileManager.default.removeItem(at: output) }
        try Data().write(to: output)
        process.standardInput = input
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        defer { end(process) }
        func lines() throws -> [Substring] { String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n") }
        #expect(try withDeadline(20) { try lines().first == "ready" })
        func receiver(_ to: [String], port: Int = port) throws -> SMTPReceiver {
            try SMTPReceiver(
                .init(server: SMTPSettings(url: "smtp://127.0.0.1:\(port)", security: .off, timeout: 5_000), from: "vyuha@example.org", to: to),
                useCase: "taxi")
        }
        var first = try message("x9/1", group: "Zürich")
        first.title = "Zone Zürich: ein sehr langer Titel, der nicht in ein kodiertes Wort passt, äöü 東京"
        first.text = ".\r\nA line with a dot, and ünïcödé."
        try receiver(["a@example.org", "b@example.org"]).deliver(first, Self.entry, shouldContinue: { true })
        let second = try message("x9/2", event: "resolved")
        try receiver(["a@example.org"]).deliver(second, Self.entry, shouldContinue: { true })
        #expect(try withDeadline(10) { try lines().count == 3 })
        let mails = try lines().dropFirst().map { try JSONValue.parse(String($0)) }
        #expect(mails[0]["subject"]?.string == "[critical] " + first.title)
        #expect(mails[0]["to"]?.array?.compactMap(\.string) == ["a@example.org", "b@example.org"])
        #expect(mails[0]["id"]?.string == "<x9.1.taxi@example.org>")
        #expect(mails[0]["text"]?.string?.hasPrefix(".\r\nA line with a dot, and ünïcödé.") == true)
        #expect(mails[1]["references"]?.string == "<x9.1.taxi@example.org>")
        for (to, kind) in [("refused@example.org", DeliveryFailure.Kind.refused), ("busy@example.org", .overloaded)] {
            let failure = #expect(throws: DeliveryFailure.self) { try receiver([to]).deliver(second, Self.entry, shouldContinue: { true }) }
            #expect(failure?.kind == kind, "\(failure?.message ?? "")")
        }
        let nobody = try freePort()
        let failure = #expect(throws: DeliveryFailure.self) {
            try receiver(["a@example.org"], port: nobody).deliver(second, Self.entry, shouldContinue: { true })
        }
        #expect(failure?.kind == .away)
    }

    // MARK: Parts

    /// Not `waitUntilExit`, which may wait for ever where several tests have processes of their own.
    private func end(_ process: Process) {
        kill(process.processIdentifier, SIGKILL)
        #expect(withDeadline(10) { !process.isRunning })
    }

    private static func tool(_ names: [String]) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        for name in names {
            for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") { return "\(folder)/\(name)" }
        }
        return nil
    }

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}
