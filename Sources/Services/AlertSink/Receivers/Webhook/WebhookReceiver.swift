import Contracts
import HTTPClient
import ServiceKit

/// Posts each message as JSON, with its id as `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), so that a receiver which keeps
/// the key shows it once even where a delivery is repeated.
///
/// With a secret it is signed: `X-Vyuha-Signature: t=<seconds>,v1=<HMAC-SHA-256 of "<seconds>.<body>" in hexadecimal>`.
final class WebhookReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "webhook", isWanted: { $0.webhook != nil }) { settings, _ in
        let text = AlertText(settings.useCase)
        return try WebhookReceiver(url: settings.webhook ?? "", timeout: settings.timeout, secret: settings.webhookSecret) {
            text.payload("webhook", $0) ?? $0.json
        }
    }

    let name = "webhook"
    private let http: HTTPReceiver
    private let secret: String?
    private let payload: (AlertRecord) -> [UInt8]

    /// - Parameter timeout: longest attempt, milliseconds.
    init(url: String, timeout: Int, secret: String? = nil, payload: @escaping (AlertRecord) -> [UInt8] = { $0.json }) throws {
        http = try HTTPReceiver("The webhook", url: url, timeout: timeout)
        self.secret = secret
        self.payload = payload
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        let body = payload(alert)
        var headers = [HTTPHeader("Idempotency-Key", Self.headerValue(alert.id))]
        if let secret { headers.append(HTTPHeader("X-Vyuha-Signature", Self.signature(body, secret, at: Clock.milliseconds / 1_000))) }
        try http.post(body, headers: headers, shouldContinue: shouldContinue)
    }

    func close() {}

    static func signature(_ body: [UInt8], _ secret: String, at seconds: Int64) -> String {
        "t=\(seconds),v1=" + hmacSHA256(key: Array(secret.utf8), Array("\(seconds).".utf8) + body)
    }

    /// A header value holds visible ASCII only (RFC 9110, 5.5), so anything else is written as %XX.
    static func headerValue(_ id: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in id.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
