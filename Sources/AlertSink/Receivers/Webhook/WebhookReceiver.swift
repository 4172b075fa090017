import Contracts
import HTTPClient
import ServiceKit

/// Posts each alert as JSON, with its id as `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), so that a receiver which keeps
/// the key shows an alert once even where a delivery is repeated.
///
/// A status from 200 to 299 means taken. 408, 425, 429 and 5xx: try again later, not before `Retry-After`. Any other: this alert is
/// refused, and is tried again by itself, since the receiver's settings may be mended.
final class WebhookReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "webhook", isWanted: { $0.webhook != nil }) { settings, _ in
        try WebhookReceiver(url: settings.webhook ?? "", timeout: settings.webhookTimeout)
    }

    let name = "webhook"
    private let url: String
    private let client: HTTPClient

    /// - Parameter timeout: longest attempt, milliseconds.
    init(url: String, timeout: Int) throws {
        self.url = url
        var settings = HTTPClientSettings()
        settings.timeout = timeout
        settings.connectTimeout = min(settings.connectTimeout, timeout)
        client = try HTTPClient(settings)
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        let headers = [HTTPHeader("Content-Type", "application/json"), HTTPHeader("Idempotency-Key", Self.headerValue(alert.id))]
        let response: HTTPResponse
        do throws(HTTPClientError) {
            response = try client.send(HTTPRequest(.post, url, headers: headers, body: alert.json), shouldContinue: shouldContinue)
        } catch {
            switch error.kind {
            case .stopped: throw DeliveryFailure(kind: .stopped, message: error.message)
            // It answered, though with more than anybody reads.
            case .tooLarge, .invalidRequest: throw DeliveryFailure(kind: .refused, message: error.message)
            default: throw DeliveryFailure(kind: .away, message: error.message)
            }
        }
        if response.isSuccess { return }
        let message = "The webhook answered with status \(response.status)."
        switch response.status {
        case 408, 425, 429, 500...599:
            let asked = Int64(min(max(0, response.retryAfter ?? 0), 3_600)) * 1_000
            throw DeliveryFailure(kind: .overloaded, message: message, retryAfter: asked)
        default: throw DeliveryFailure(kind: .refused, message: message)
        }
    }

    func close() {}

    /// Ids come from outside; a header value holds visible ASCII only (RFC 9110, 5.5), so anything else is written as %XX.
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
