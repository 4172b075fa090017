import HTTPClient

/// What the receivers that speak HTTP have in common: one client, and what an answer means.
///
/// A status from 200 to 299 means taken. 408, 425, 429 and 5xx: try again later, not before `Retry-After`. Any other: this message is
/// refused, and is tried again by itself, since the receiver's settings may be mended.
final class HTTPReceiver {
    /// As people call it, in a sentence.
    private let name: String
    private let url: String
    private let client: HTTPClient

    /// - Parameter timeout: longest attempt, milliseconds.
    init(_ name: String, url: String, timeout: Int) throws {
        self.name = name
        self.url = url
        var settings = HTTPClientSettings()
        settings.timeout = timeout
        settings.connectTimeout = min(settings.connectTimeout, timeout)
        client = try HTTPClient(settings)
    }

    /// Posts JSON.
    func post(_ body: [UInt8], headers: [HTTPHeader] = [], shouldContinue: () -> Bool) throws(DeliveryFailure) {
        let headers = [HTTPHeader("Content-Type", "application/json")] + headers
        let response: HTTPResponse
        do throws(HTTPClientError) {
            response = try client.send(HTTPRequest(.post, url, headers: headers, body: body), shouldContinue: shouldContinue)
        } catch {
            switch error.kind {
            case .stopped: throw DeliveryFailure(kind: .stopped, message: error.message)
            // It answered, though with more than anybody reads.
            case .tooLarge, .invalidRequest: throw DeliveryFailure(kind: .refused, message: error.message)
            default: throw DeliveryFailure(kind: .away, message: error.message)
            }
        }
        if response.isSuccess { return }
        let message = "\(name) answered with status \(response.status)."
        switch response.status {
        case 408, 425, 429, 500...599:
            let asked = Int64(min(max(0, response.retryAfter ?? 0), 3_600)) * 1_000
            throw DeliveryFailure(kind: .overloaded, message: message, retryAfter: asked)
        default: throw DeliveryFailure(kind: .refused, message: message)
        }
    }
}
