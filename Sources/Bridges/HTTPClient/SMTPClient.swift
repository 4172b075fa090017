import CCurl
import Glibc

/// A mail, ready to be sent.
public struct MailMessage: Sendable {
    /// Addresses without names: `alerts@example.org`.
    public var from: String
    public var to: [String]
    /// Header fields beside From and To; values may hold any text, which is encoded where it must be.
    public var headers: [HTTPHeader]
    /// Plain text, UTF-8.
    public var text: String

    public init(from: String, to: [String], headers: [HTTPHeader], text: String) {
        self.from = from
        self.to = to
        self.headers = headers
        self.text = text
    }

    /// The message as it travels ([RFC 5322](https://www.rfc-editor.org/rfc/rfc5322), [RFC 2047](https://www.rfc-editor.org/rfc/rfc2047)).
    /// The body is Base64, so that neither long lines nor a lonely dot can hurt.
    var bytes: [UInt8] {
        var lines = ["From: <\(from)>", "To: " + to.map { "<\($0)>" }.joined(separator: ", ")]
        for header in headers { lines.append("\(header.name): \(Self.encoded(header.value))") }
        lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", ""]
        let body = Self.base64(Array(text.utf8))
        for start in stride(from: 0, to: body.count, by: 76) {
            lines.append(String(decoding: body[start..<min(start + 76, body.count)], as: UTF8.self))
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    /// Plain where it is printable ASCII of a bearable length, else encoded words of at most 75 characters, each of whole characters.
    static func encoded(_ value: String) -> String {
        if value.utf8.count <= 200, value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), !value.contains("=?") { return value }
        var words: [String] = []
        var part: [UInt8] = []
        for scalar in value.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if part.count + bytes.count > 45 {
                words.append("=?UTF-8?B?" + String(decoding: base64(part), as: UTF8.self) + "?=")
                part = []
            }
            part += bytes
        }
        if !part.isEmpty { words.append("=?UTF-8?B?" + String(decoding: base64(part), as: UTF8.self) + "?=") }
        return words.joined(separator: "\r\n ")
    }

    /// Base64 with padding ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648), section 4).
    private static func base64(_ bytes: [UInt8]) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
            for place in 0..<4 { result.append(place <= count ? alphabet[Int(group >> UInt32(18 - 6 * place)) & 63] : UInt8(ascii: "=")) }
        }
        return result
    }
}

/// Where and how mails are handed over.
public struct SMTPSettings: Sendable, Equatable {
    /// Whether the connection must be secured with STARTTLS, may be, or is not.
    public enum Security: String, Sendable, CaseIterable { case required, opportunistic, off }

    /// `smtp://host:587`, or `smtps://host:465`, which is secured from the first byte.
    public var url: String
    public var security: Security
    public var user: String?
    public var password: String?
    /// Longest time for a whole mail, milliseconds.
    public var timeout: Int
    /// File of trusted certificates in PEM; nil trusts the system's.
    public var certificateAuthorityFile: String?

    public init(
        url: String, security: Security = .required, user: String? = nil, password: String? = nil, timeout: Int = 10_000,
        certificateAuthorityFile: String? = nil
    ) {
        self.url = url
        self.security = security
        self.user = user
        self.password = password
        self.timeout = timeout
        self.certificateAuthorityFile = certificateAuthorityFile
    }
}

/// Why a mail was not taken, in one sentence without a password.
public struct SMTPError: Error, Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// Nobody answers, or the connection broke or could not be secured.
        case unreachable
        /// The server answered with 4xx: later perhaps.
        case later
        /// The server answered with 5xx, or refused the password: this mail will not be taken.
        case refused
        /// The caller's `shouldContinue` ended it.
        case stopped
    }

    public let kind: Kind
    public let message: String
}

/// Hands mails to a server, over one connection that libcurl keeps open, from one thread.
///
/// [libcurl, SMTP](https://everything.curl.dev/usingcurl/smtp.html). Certificates and host names are verified.
public final class SMTPClient {
    private let curl: UnsafeMutableRawPointer
    private let settings: SMTPSettings
    private var errorText = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))

    public init(_ settings: SMTPSettings) throws(HTTPClientError) {
        guard HTTPClient.libraryIsReady, let handle = curl_easy_init() else {
            throw HTTPClientError(.other, "libcurl cannot be initialised: there is too little memory.")
        }
        curl = handle
        self.settings = settings
    }

    deinit { curl_easy_cleanup(curl) }

    /// Returns when the server has taken the mail for all recipients.
    /// - Parameter shouldContinue: asked at least once a second; false ends it.
    public func send(_ mail: MailMessage, shouldContinue: () -> Bool = { true }) throws(SMTPError) {
        for text in [mail.from] + mail.to + mail.headers.flatMap({ [$0.name, $0.value] }) where text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        {
            throw SMTPError(kind: .refused, message: "An address or a header of the mail has a control character, such as a line break.")
        }
        curl_easy_reset(curl)
        var recipients: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(recipients) }
        for address in mail.to { recipients = curl_slist_append(recipients, "<\(address)>") }
        _ = vyuha_curl_set_string(curl, CURLOPT_URL, settings.url)
        _ = vyuha_curl_set_string(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        _ = vyuha_curl_set_string(curl, CURLOPT_PROXY, "")
        _ = vyuha_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        _ = vyuha_curl_set_long(curl, CURLOPT_TIMEOUT_MS, max(1, settings.timeout))
        _ = vyuha_curl_set_long(curl, CURLOPT_SSL_VERIFYPEER, 1)
        _ = vyuha_curl_set_long(curl, CURLOPT_SSL_VERIFYHOST, 2)
        // curl/curl.h: CURLUSESSL_NONE 0, CURLUSESSL_TRY 1, CURLUSESSL_ALL 3.
        _ = vyuha_curl_set_long(curl, CURLOPT_USE_SSL, settings.security == .required ? 3 : settings.security == .off ? 0 : 1)
        if let file = settings.certificateAuthorityFile { _ = vyuha_curl_set_string(curl, CURLOPT_CAINFO, file) }
        if let user = settings.user { _ = vyuha_curl_set_string(curl, CURLOPT_USERNAME, user) }
        if let password = settings.password { _ = vyuha_curl_set_string(curl, CURLOPT_PASSWORD, password) }
        _ = vyuha_curl_set_string(curl, CURLOPT_MAIL_FROM, "<\(mail.from)>")
        _ = vyuha_curl_set_list(curl, CURLOPT_MAIL_RCPT, recipients)
        let upload = Upload(mail.bytes)
        _ = vyuha_curl_set_long(curl, CURLOPT_UPLOAD, 1)
        _ = vyuha_curl_set_write(curl, CURLOPT_READFUNCTION, readMail)
        _ = vyuha_curl_set_pointer(curl, CURLOPT_READDATA, Unmanaged.passUnretained(upload).toOpaque())
        _ = vyuha_curl_set_long(curl, CURLOPT_NOPROGRESS, 0)
        _ = vyuha_curl_set_pointer(curl, CURLOPT_XFERINFODATA, Unmanaged.passUnretained(upload).toOpaque())
        _ = vyuha_curl_set_progress(curl, askToGoOn)
        let code = withoutActuallyEscaping(shouldContinue) { asking in
            upload.shouldContinue = asking
            defer { upload.shouldContinue = nil }
            return errorText.withUnsafeMutableBufferPointer { text in
                text.update(repeating: 0)
                _ = vyuha_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, text.baseAddress)
                let code = withoutBrokenPipeSignal { curl_easy_perform(curl) }
                _ = vyuha_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, nil)
                return code
            }
        }
        withExtendedLifetime(upload) {}
        if code != CURLE_OK { throw error(code) }
    }

    private func error(_ code: CURLcode) -> SMTPError {
        let told = String(decoding: errorText.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let reason = told.isEmpty ? String(cString: curl_easy_strerror(code)) : told
        var status = 0
        _ = vyuha_curl_get_long(curl, CURLINFO_RESPONSE_CODE, &status)
        if code == CURLE_ABORTED_BY_CALLBACK { return SMTPError(kind: .stopped, message: "Sending the mail was ended by a stop.") }
        if code == CURLE_LOGIN_DENIED { return SMTPError(kind: .later, message: "The mail server refused user or password.") }
        // A status of a step that went well says nothing about the one that failed.
        switch status {
        case 400...499: return SMTPError(kind: .later, message: "The mail server cannot take the mail now (\(reason)).")
        case 500...599: return SMTPError(kind: .refused, message: "The mail server refused the mail (\(reason)).")
        default: return SMTPError(kind: .unreachable, message: "The mail server cannot be reached or broke the connection (\(reason)).")
        }
    }
}

/// What libcurl reads from.
private final class Upload {
    let bytes: [UInt8]
    var next = 0
    var shouldContinue: (() -> Bool)?

    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

private func readMail(_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    guard let buffer, let context else { return 0 }
    let upload = Unmanaged<Upload>.fromOpaque(context).takeUnretainedValue()
    let length = min(size * count, upload.bytes.count - upload.next)
    upload.bytes.withUnsafeBytes { bytes in
        UnsafeMutableRawBufferPointer(start: buffer, count: length).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[upload.next..<upload.next + length]))
    }
    upload.next += length
    return length
}

private func askToGoOn(_ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _: curl_off_t) -> Int32 {
    guard let context, let asking = Unmanaged<Upload>.fromOpaque(context).takeUnretainedValue().shouldContinue else { return 0 }
    return asking() ? 0 : 1
}
