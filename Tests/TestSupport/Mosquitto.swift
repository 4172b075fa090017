import Foundation

/// An MQTT broker on two ports of the loopback address: one for everybody, one with TLS for the user `reader` with the password `drumlin`. It keeps
/// its sessions on disk.
public final class Mosquitto {
    static let path = ["/usr/sbin/mosquitto"].first { FileManager.default.isExecutableFile(atPath: $0) }
    public static let isMissing = path == nil

    public let folder: URL
    public let port: Int
    public let tlsPort: Int
    public let certificate: Certificate
    private var process = Process()

    public init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-mosquitto-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        (port, tlsPort) = (try freePort(), try freePort())
        certificate = try Certificate()
        let made = try SourceServer.run("/usr/bin/mosquitto_passwd", ["-b", "-c", folder.path + "/passwords", "reader", "drumlin"])
        guard made.status == 0 else { throw TestSupportError("mosquitto_passwd: \(made.output)") }
        let configuration = """
            \(getuid() == 0 ? "user root" : "")
            per_listener_settings true
            persistence true
            persistence_location \(folder.path)/
            autosave_interval 1
            autosave_on_changes true
            max_queued_messages 100000
            listener \(port) 127.0.0.1
            allow_anonymous true
            listener \(tlsPort) 127.0.0.1
            certfile \(certificate.certificateFile)
            keyfile \(certificate.keyFile)
            allow_anonymous false
            password_file \(folder.path)/passwords

            """
        try configuration.write(to: folder.appending(path: "mosquitto.conf"), atomically: true, encoding: .utf8)
        try start()
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Starts it, again after `kill`, and waits until it answers.
    public func start() throws {
        guard let path = Self.path else { throw TestSupportError("The package mosquitto is not installed.") }
        process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = ["-c", folder.path + "/mosquitto.conf"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        guard withDeadline(20, { (try? publish("ready", to: "test/ready", quality: 0)) != nil }) else {
            throw TestSupportError("mosquitto does not answer.")
        }
    }

    /// SIGKILL.
    public func kill() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// - Parameter messages: one a line.
    public func publish(_ messages: String, to topic: String, quality: Int = 1, retain: Bool = false) throws {
        let client = Process()
        client.executableURL = URL(filePath: "/usr/bin/mosquitto_pub")
        client.arguments = ["-p", "\(port)", "-q", "\(quality)", "-t", topic, "-l"] + (retain ? ["-r"] : [])
        // A pipe would end this process where the client cannot connect.
        let input = folder.appending(path: "messages-\(UUID().uuidString)")
        try (messages + "\n").write(to: input, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: input) }
        client.standardInput = try FileHandle(forReadingFrom: input)
        client.standardError = FileHandle.nullDevice
        try client.run()
        client.waitUntilExit()
        guard client.terminationStatus == 0 else { throw TestSupportError("mosquitto_pub ended with status \(client.terminationStatus).") }
    }
}
