import CMosquitto
import Glibc

/// How to reach a broker, and as whom.
public struct MQTTSettings: Sendable {
    public var server: MQTTServer
    /// Names the session that the broker keeps while this client is away.
    public var clientID: String
    public var user: String?
    public var password: String?
    /// PEM file with the authorities to trust; nil: the system's.
    public var authorityFile: String?
    /// PEM files, where the broker wants to know clients by certificate.
    public var certificateFile: String?
    public var keyFile: String?
    /// Seconds of silence after which either side looks for the other.
    public var keepAlive = 30

    public init(server: MQTTServer, clientID: String) {
        self.server = server
        self.clientID = clientID
    }
}

/// Subscribes to topics of an MQTT 3.1.1 broker with a persistent session, by [libmosquitto](https://mosquitto.org/api/). One thread's own.
///
/// Messages of quality 1 are acknowledged when the caller says so: libmosquitto queues each acknowledgement when it has read the message, and in
/// its mode for applications with threads of their own nothing is written but by `acknowledge()`. A message that was not acknowledged comes again.
public final class MQTTClient {
    private let settings: MQTTSettings
    private let client: OpaquePointer
    private let inbox = Inbox()

    /// What libmosquitto's callbacks fill, which it calls within `read`.
    fileprivate final class Inbox {
        var messages: [MQTTMessage] = []
        var bytes = 0
        var isDuplicate = false
        /// The broker's answer to CONNECT, and whether it has kept the session.
        var connected: (code: Int32, hasSession: Bool)?
        /// Of each topic the quality that was granted, or 128 for a refusal.
        var granted: [Int32]?
    }

    /// - Throws: where a certificate cannot be used.
    public init(_ settings: MQTTSettings) throws(MQTTError) {
        guard isLibraryReady, let client = mosquitto_new(settings.clientID, false, Unmanaged.passUnretained(inbox).toOpaque()) else {
            throw MQTTError("There is no memory for an MQTT client.", isRetryable: false)
        }
        self.settings = settings
        self.client = client
        mosquitto_threaded_set(client, true)
        mosquitto_connect_with_flags_callback_set(client, onConnect)
        mosquitto_subscribe_callback_set(client, onSubscribe)
        mosquitto_message_callback_set(client, onMessage)
        mosquitto_log_callback_set(client, onLog)
        if let user = settings.user { try check(mosquitto_username_pw_set(client, user, settings.password), "set the user") }
        if settings.server.usesTLS {
            let code = mosquitto_tls_set(
                client, settings.authorityFile, settings.authorityFile == nil ? "/etc/ssl/certs" : nil, settings.certificateFile, settings.keyFile,
                nil)
            guard code == 0 else {
                throw MQTTError("The files for TLS to the MQTT broker cannot be used: \(Self.text(code)).", isRetryable: false)
            }
        }
    }

    deinit { mosquitto_destroy(client) }

    /// Connects and waits for the broker's answer. What was read before and not acknowledged comes again.
    ///
    /// - Returns: whether the broker has kept this client's session.
    public func connect(timeout milliseconds: Int) throws(MQTTError) -> Bool {
        inbox.connected = nil
        inbox.messages.removeAll()
        inbox.bytes = 0
        try check(
            mosquitto_connect(client, settings.server.host, Int32(settings.server.port), Int32(settings.keepAlive)), "connect to \(settings.server)")
        try flush()
        try wait(milliseconds, "answer \(settings.server)'s greeting") { inbox.connected != nil }
        let answer = inbox.connected ?? (1, false)
        guard answer.code == 0 else {
            // 3: unavailable, which passes. The others are somebody's to mend, and may be mended at the broker.
            throw MQTTError("\(settings.server) refuses the connection: \(String(cString: mosquitto_connack_string(answer.code)))", isRetryable: true)
        }
        return answer.hasSession
    }

    /// Subscribes; a filter may have the wildcards `+` and `#`.
    public func subscribe(_ filters: [String], quality: Int, timeout milliseconds: Int) throws(MQTTError) {
        for filter in filters {
            inbox.granted = nil
            try check(mosquitto_subscribe(client, nil, filter, Int32(quality)), "subscribe to \(filter)")
            try flush()
            try wait(milliseconds, "confirm the subscription of \(filter)") { inbox.granted != nil }
            guard inbox.granted?.allSatisfy({ $0 < 128 }) == true else {
                throw MQTTError("\(settings.server) refuses the subscription of \(filter); may this user read it?", isRetryable: true)
            }
        }
    }

    /// Takes what has come, waiting for the first; keeps the connection alive. The messages count as acknowledged only after `acknowledge`.
    ///
    /// - Parameters:
    ///   - most: messages.
    ///   - mostBytes: of payload, after which no more are read.
    /// - Throws: where the connection is gone; `connect` begins again.
    public func read(atMost most: Int, bytes mostBytes: Int, timeout milliseconds: Int) throws(MQTTError) -> [MQTTMessage] {
        try check(mosquitto_loop_misc(client), "keep the connection")
        if mosquitto_want_write(client), inbox.messages.isEmpty { try flush() }
        var patience = inbox.messages.isEmpty ? milliseconds : 0
        while inbox.messages.count < most, inbox.bytes < mostBytes, try isReadable(within: patience) {
            try check(mosquitto_loop_read(client, 1), "read")
            if !inbox.messages.isEmpty { patience = 0 }
        }
        defer {
            inbox.messages.removeAll()
            inbox.bytes = 0
        }
        return inbox.messages
    }

    /// Tells the broker that every message of the last `read` is in good hands.
    public func acknowledge() throws(MQTTError) { try flush() }

    /// Says goodbye; the session stays.
    public func close() {
        mosquitto_disconnect(client)
        try? flush()
    }

    // MARK: The connection

    private func wait(_ milliseconds: Int, _ what: String, until isDone: () -> Bool) throws(MQTTError) {
        let end = ContinuousClock.now + .milliseconds(milliseconds)
        while !isDone() {
            guard ContinuousClock.now < end else { throw MQTTError("The MQTT broker did not \(what) in time.", isRetryable: true) }
            // The greeting waits until TLS is agreed on.
            if mosquitto_want_write(client) { try flush() }
            guard try isReadable(within: 50) else { continue }
            let code = mosquitto_loop_read(client, 1)
            // A refusal is an answer and an error; the answer says why.
            if !isDone() { try check(code, what) }
        }
    }

    private func isReadable(within milliseconds: Int) throws(MQTTError) -> Bool {
        try ready(Int16(POLLIN), milliseconds)
    }

    private func ready(_ events: Int16, _ milliseconds: Int) throws(MQTTError) -> Bool {
        let socket = mosquitto_socket(client)
        guard socket >= 0 else { throw MQTTError("The connection to \(settings.server) is gone.", isRetryable: true) }
        var descriptor = pollfd(fd: socket, events: events, revents: 0)
        return poll(&descriptor, 1, Int32(clamping: milliseconds)) > 0
    }

    private func flush() throws(MQTTError) {
        repeat {
            try check(mosquitto_loop_write(client, 1), "write")
            guard mosquitto_want_write(client) else { return }
            guard try ready(Int16(POLLOUT), 5_000) else { throw MQTTError("\(settings.server) takes nothing more.", isRetryable: true) }
        } while true
    }

    private func check(_ code: Int32, _ what: String) throws(MQTTError) {
        guard code != Int32(MOSQ_ERR_SUCCESS.rawValue) else { return }
        let isOurs = [MOSQ_ERR_INVAL, MOSQ_ERR_NOT_SUPPORTED, MOSQ_ERR_MALFORMED_UTF8].contains { Int32($0.rawValue) == code }
        throw MQTTError("The MQTT client could not \(what): \(Self.text(code)).", isRetryable: !isOurs)
    }

    private static func text(_ code: Int32) -> String {
        if code == Int32(MOSQ_ERR_ERRNO.rawValue) { return String(cString: strerror(errno)) }
        let text = String(cString: mosquitto_strerror(code))
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }
}

/// Once, before any client.
private let isLibraryReady = mosquitto_lib_init() == 0

private func inbox(_ pointer: UnsafeMutableRawPointer?) -> MQTTClient.Inbox? {
    pointer.map { Unmanaged<MQTTClient.Inbox>.fromOpaque($0).takeUnretainedValue() }
}

private func onConnect(_: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _ code: Int32, _ flags: Int32) {
    inbox(pointer)?.connected = (code, flags & 1 != 0)
}

private func onSubscribe(
    _: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _: Int32, _ count: Int32, _ granted: UnsafePointer<Int32>?
) {
    inbox(pointer)?.granted = granted.map { Array(UnsafeBufferPointer(start: $0, count: Int(count))) } ?? []
}

private func onMessage(_: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _ message: UnsafePointer<mosquitto_message>?) {
    guard let inbox = inbox(pointer), let message = message?.pointee, let topic = message.topic else { return }
    let payload = [UInt8](UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen)))
    inbox.bytes += payload.count
    inbox.messages.append(
        MQTTMessage(
            topic: String(cString: topic), payload: payload, id: UInt16(truncatingIfNeeded: message.mid), isRetained: message.retain,
            isDuplicate: inbox.isDuplicate))
}

/// The flag for a message that is delivered again is told nowhere but in the log line before it: `Client … received PUBLISH (d1, q1, r0, m7, …`.
private func onLog(_: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _: Int32, _ line: UnsafePointer<CChar>?) {
    guard let line, let mark = strstr(line, " received PUBLISH (d") else { return }
    inbox(pointer)?.isDuplicate = mark[20] == CChar(UInt8(ascii: "1"))
}
