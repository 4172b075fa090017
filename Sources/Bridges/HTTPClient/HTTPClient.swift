import CCurl
import Glibc

/// Sends requests one after another over connections that are kept open, from one thread.
///
/// libcurl's easy interface ([reference](https://curl.se/libcurl/c/)). Only http and https; redirects are answers, not followed;
/// certificates and host names are verified. Cost: a kept connection to a server on the same machine answers in about 100 µs.
public final class HTTPClient {
    private let curl: UnsafeMutableRawPointer
    private let settings: HTTPClientSettings
    private let exclusions: String
    private var errorText = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))

    /// Prepares libcurl, once per process; no connection is made yet.
    public init(_ settings: HTTPClientSettings = HTTPClientSettings()) throws(HTTPClientError) {
        guard Self.libraryIsReady, let handle = curl_easy_init() else {
            throw HTTPClientError(.other, "libcurl cannot be initialised: there is too little memory.")
        }
        curl = handle
        self.settings = settings
        let named = (getenv("no_proxy") ?? getenv("NO_PROXY")).map { String(cString: $0) + "," } ?? ""
        exclusions = named + "localhost,127.0.0.1,::1"
    }

    deinit { curl_easy_cleanup(curl) }

    /// Longest time for an exchange whose request names none, in milliseconds.
    var timeout: Int { settings.timeout }

    /// `curl_global_init` must run once and before any other thread uses libcurl; a static is initialised exactly once.
    static let libraryIsReady: Bool = vyuha_curl_global_init() == CURLE_OK

    /// Sends the request and waits for the whole response, whatever its status.
    ///
    /// - Parameter shouldContinue: asked at least once a second while waiting; false ends the exchange.
    /// - Throws: where there is no complete response. After ``HTTPClientError/Kind/timeout`` and
    ///   ``HTTPClientError/Kind/connectionLost`` the server may have acted on the request.
    public func send(_ request: HTTPRequest, shouldContinue: () -> Bool = { true }) throws(HTTPClientError) -> HTTPResponse {
        try check(request)
        // Keeps open connections and known addresses, forgets every option of the request before.
        curl_easy_reset(curl)
        configure(request)
        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        // An empty value takes a field out that libcurl would add: a form's type, and a wait for 100 of a second at large bodies.
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) { list = curl_slist_append(list, "Content-Type:") }
        list = curl_slist_append(list, "Expect:")
        for header in request.headers {
            let line = header.value.isEmpty ? header.name + ";" : "\(header.name): \(header.value)"
            list = curl_slist_append(list, line)
        }
        _ = vyuha_curl_set_list(curl, CURLOPT_HTTPHEADER, list)

        let exchange = Exchange(settings)
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        _ = vyuha_curl_set_write(curl, CURLOPT_WRITEFUNCTION, receiveBody)
        _ = vyuha_curl_set_pointer(curl, CURLOPT_WRITEDATA, context)
        _ = vyuha_curl_set_write(curl, CURLOPT_HEADERFUNCTION, receiveHeader)
        _ = vyuha_curl_set_pointer(curl, CURLOPT_HEADERDATA, context)
        _ = vyuha_curl_set_long(curl, CURLOPT_NOPROGRESS, 0)
        _ = vyuha_curl_set_pointer(curl, CURLOPT_XFERINFODATA, context)
        _ = vyuha_curl_set_progress(curl, askToContinue)
        let code = withoutActuallyEscaping(shouldContinue) { asking in
            exchange.shouldContinue = asking
            defer { exchange.shouldContinue = nil }
            return perform(request)
        }
        withExtendedLifetime(exchange) {}
        if code != CURLE_OK { throw error(code, request, exchange) }

        var status = 0
        var wait: curl_off_t = 0
        _ = vyuha_curl_get_long(curl, CURLINFO_RESPONSE_CODE, &status)
        _ = vyuha_curl_get_offset(curl, CURLINFO_RETRY_AFTER, &wait)
        return HTTPResponse(
            status: status, headers: exchange.headers, body: exchange.body, retryAfter: wait > 0 ? Int(wait) : nil)
    }

    private func configure(_ request: HTTPRequest) {
        _ = vyuha_curl_set_string(curl, CURLOPT_URL, request.url)
        _ = vyuha_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        _ = vyuha_curl_set_long(curl, CURLOPT_FOLLOWLOCATION, 0)
        _ = vyuha_curl_set_string(curl, CURLOPT_PROTOCOLS_STR, "http,https")
        _ = vyuha_curl_set_string(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        _ = vyuha_curl_set_long(curl, CURLOPT_SSL_VERIFYPEER, 1)
        _ = vyuha_curl_set_long(curl, CURLOPT_SSL_VERIFYHOST, 2)
        _ = vyuha_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, max(1, settings.connectTimeout))
        _ = vyuha_curl_set_long(curl, CURLOPT_TIMEOUT_MS, max(1, request.timeout ?? settings.timeout))
        _ = vyuha_curl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
        _ = vyuha_curl_set_string(curl, CURLOPT_USERAGENT, settings.userAgent)
        // Empty: every coding that this libcurl knows, so that the server may choose and the body comes as it was.
        if settings.acceptsCompression { _ = vyuha_curl_set_string(curl, CURLOPT_ACCEPT_ENCODING, "") }
        if let file = settings.certificateAuthorityFile { _ = vyuha_curl_set_string(curl, CURLOPT_CAINFO, file) }
        if settings.usesEnvironmentProxy {
            _ = vyuha_curl_set_string(curl, CURLOPT_NOPROXY, exclusions)
        } else {
            _ = vyuha_curl_set_string(curl, CURLOPT_PROXY, "")
        }
        switch request.method {
        case .get: _ = vyuha_curl_set_long(curl, CURLOPT_HTTPGET, 1)
        case .head: _ = vyuha_curl_set_long(curl, CURLOPT_NOBODY, 1)
        case .post: _ = vyuha_curl_set_long(curl, CURLOPT_POST, 1)
        case .put, .delete: _ = vyuha_curl_set_string(curl, CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        }
    }

    /// The buffers that libcurl reads and writes stay where they are only in here.
    private func perform(_ request: HTTPRequest) -> CURLcode {
        errorText[0] = 0
        return errorText.withUnsafeMutableBufferPointer { text in
            _ = vyuha_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, text.baseAddress)
            return request.body.withUnsafeBytes { body in
                let sendsBody = request.method == .post || request.method == .put || (request.method == .delete && !body.isEmpty)
                if sendsBody {
                    _ = vyuha_curl_set_offset(curl, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
                    // Without an address libcurl would read the body from standard input.
                    if let address = body.baseAddress, !body.isEmpty {
                        _ = vyuha_curl_set_pointer(curl, CURLOPT_POSTFIELDS, address)
                    } else {
                        _ = vyuha_curl_set_string(curl, CURLOPT_COPYPOSTFIELDS, "")
                    }
                }
                let code = withoutBrokenPipeSignal { curl_easy_perform(curl) }
                _ = vyuha_curl_set_pointer(curl, CURLOPT_POSTFIELDS, nil)
                _ = vyuha_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, nil)
                return code
            }
        }
    }

    /// Refuses what could smuggle a second header or request.
    private func check(_ request: HTTPRequest) throws(HTTPClientError) {
        let lower = request.url.prefix(8).lowercased()
        guard lower.hasPrefix("http://") || lower.hasPrefix("https://") else {
            throw HTTPClientError(.invalidRequest, "The URL must begin with http:// or https://.")
        }
        if request.url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
            throw HTTPClientError(.invalidRequest, "The URL has a blank or a control character: write it percent-encoded.")
        }
        for header in request.headers {
            if header.name.isEmpty || !header.name.utf8.allSatisfy(Self.isToken) {
                throw HTTPClientError(.invalidRequest, "A header name is empty or has a character that is not allowed there.")
            }
            if header.value.utf8.contains(where: { ($0 < 0x20 && $0 != 9) || $0 == 0x7F }) {
                throw HTTPClientError(.invalidRequest, "The header \(header.name) has a control character, such as a line break.")
            }
        }
    }

    /// A `tchar` of [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private func error(_ code: CURLcode, _ request: HTTPRequest, _ exchange: Exchange) -> HTTPClientError {
        let server = Self.server(of: request.url)
        let told = String(decoding: errorText.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let reason = told.isEmpty ? String(cString: curl_easy_strerror(code)) : told
        if exchange.isTooLarge {
            return HTTPClientError(.tooLarge, "The response of \(server) is larger than \(settings.maximumResponseBytes) bytes.")
        }
        switch code {
        case CURLE_ABORTED_BY_CALLBACK: return HTTPClientError(.stopped, "The request to \(server) was ended by a stop.")
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT:
            return HTTPClientError(.unreachable, "\(server) cannot be reached (\(reason)).")
        case CURLE_OPERATION_TIMEDOUT: return HTTPClientError(.timeout, "\(server) did not answer in time (\(reason)).")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_USE_SSL_FAILED:
            return HTTPClientError(.tls, "The connection to \(server) cannot be secured (\(reason)).")
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM,
            CURLE_SEND_FAIL_REWIND:
            return HTTPClientError(.connectionLost, "The connection to \(server) broke (\(reason)).")
        // A body that is too large ends with a write error too, which was handled above.
        case CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR:
            return HTTPClientError(.undecodable, "The response of \(server) cannot be expanded (\(reason)).")
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            return HTTPClientError(.invalidRequest, "The URL of \(server) is wrong (\(reason)).")
        default: return HTTPClientError(.other, "The request to \(server) failed (\(reason)).")
        }
    }

    /// Scheme, host and port: a path, query or user name may hold a secret, as a webhook's does.
    private static func server(of url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return "the server" }
        let rest = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
        return String(url[..<scheme.upperBound]) + host
    }
}

// MARK: What libcurl calls

/// What arrives of one response.
private final class Exchange {
    let settings: HTTPClientSettings
    var headers: [HTTPHeader] = []
    var body: [UInt8] = []
    var headerBytes = 0
    var isTooLarge = false
    var shouldContinue: (() -> Bool)?

    init(_ settings: HTTPClientSettings) { self.settings = settings }

    static func at(_ context: UnsafeMutableRawPointer) -> Exchange { Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue() }

    func add(header line: UnsafeRawBufferPointer) -> Bool {
        headerBytes += line.count
        if headerBytes > settings.maximumHeaderBytes {
            isTooLarge = true
            return false
        }
        // A status line begins the fields anew: those before it belong to an interim response such as 100.
        if line.starts(with: "HTTP/".utf8) {
            headers.removeAll()
            return true
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 || byte == 10 }
        var value = line[(colon + 1)...]
        while let first = value.first, isBlank(first) { value.removeFirst() }
        while let last = value.last, isBlank(last) { value.removeLast() }
        headers.append(HTTPHeader(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self)))
        return true
    }
}

private func receiveBody(_ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    guard let data, let context else { return 0 }
    let exchange = Exchange.at(context)
    if exchange.body.count + count > exchange.settings.maximumResponseBytes {
        exchange.isTooLarge = true
        return 0
    }
    exchange.body.append(contentsOf: UnsafeRawBufferPointer(start: data, count: size * count))
    return size * count
}

private func receiveHeader(_ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    guard let data, let context else { return 0 }
    return Exchange.at(context).add(header: UnsafeRawBufferPointer(start: data, count: size * count)) ? size * count : 0
}

private func askToContinue(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _: curl_off_t
) -> Int32 {
    guard let context, let asking = Exchange.at(context).shouldContinue else { return 0 }
    return asking() ? 0 : 1
}

/// Runs the body with SIGPIPE held back on this thread and takes back one that it caused.
///
/// OpenSSL writes to its socket with `write`, and libcurl leaves the signal to its caller where `CURLOPT_NOSIGNAL` is set, as it
/// must be in a process of several threads.
func withoutBrokenPipeSignal<Result>(_ body: () -> Result) -> Result {
    var pipe = sigset_t()
    var previous = sigset_t()
    var pending = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    sigpending(&pending)
    let wasPending = sigismember(&pending, SIGPIPE) == 1
    pthread_sigmask(SIG_BLOCK, &pipe, &previous)
    let result = body()
    if !wasPending {
        var now = timespec()
        while sigtimedwait(&pipe, nil, &now) < 0, errno == EINTR {}
    }
    pthread_sigmask(SIG_SETMASK, &previous, nil)
    return result
}
