import CCurl

/// An absolute URL, taken apart by libcurl's own parser ([reference](https://curl.se/libcurl/c/libcurl-url.html)), so that what is compared here is what is
/// connected to.
public struct HTTPAddress: Sendable, Equatable {
    /// The whole, normalised.
    public let text: String
    public let scheme: String
    public let host: String
    public let port: Int

    /// Nil for what is no absolute URL of http or https.
    public init?(_ text: String) { self.init(text, relativeTo: nil) }

    /// What a reference, such as `Location` or a link to the next page, means on the page at this address (RFC 3986, section 5); nil where it is no address.
    public func resolving(_ reference: String) -> HTTPAddress? { HTTPAddress(reference, relativeTo: text) }

    /// The same host, over the same port or the one that its scheme implies: http may become https, which never becomes http.
    public func isSameServer(as other: HTTPAddress) -> Bool {
        guard host == other.host else { return false }
        if scheme == other.scheme { return port == other.port }
        return scheme == "http" && other.scheme == "https" && port == 80 && other.port == 443
    }

    private init?(_ text: String, relativeTo base: String?) {
        guard let url = curl_url() else { return nil }
        defer { curl_url_cleanup(url) }
        for part in [base, text].compactMap(\.self) { guard curl_url_set(url, CURLUPART_URL, part, 0) == CURLUE_OK else { return nil } }
        func get(_ part: CURLUPart, _ flags: UInt32) -> String? {
            var found: UnsafeMutablePointer<CChar>?
            guard curl_url_get(url, part, &found, flags) == CURLUE_OK, let found else { return nil }
            defer { curl_free(found) }
            return String(cString: found)
        }
        // CURLU_DEFAULT_PORT is 1 << 0.
        guard let whole = get(CURLUPART_URL, 0), let scheme = get(CURLUPART_SCHEME, 0), let host = get(CURLUPART_HOST, 0),
            let port = get(CURLUPART_PORT, 1).flatMap({ Int($0) }), scheme == "http" || scheme == "https"
        else { return nil }
        (self.text, self.scheme, self.host, self.port) = (whole, scheme, host.lowercased(), port)
    }
}

extension HTTPResponse {
    /// The address of the link with this relation in the `Link` fields ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), as it is written; nil without one.
    public func link(_ relation: String) -> String? {
        for field in headers where field.name.lowercased() == "link" {
            var rest = field.value[...]
            while let open = rest.firstIndex(of: "<"), let close = rest[open...].firstIndex(of: ">") {
                let address = rest[rest.index(after: open)..<close]
                rest = rest[rest.index(after: close)...]
                // Its parameters end at the comma outside of quotes.
                var isQuoted = false
                let end = rest.firstIndex { character in
                    if character == "\"" { isQuoted.toggle() }
                    return character == "," && !isQuoted
                }
                let parameters = rest[..<(end ?? rest.endIndex)]
                rest = end.map { rest[rest.index(after: $0)...] } ?? ""
                for parameter in parameters.split(separator: ";") {
                    let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != "\"" && $0 != "\t" } }
                    guard parts.count == 2, parts[0].filter({ $0 != " " }).lowercased() == "rel" else { continue }
                    if parts[1].lowercased().split(separator: " ").contains(relation[...]) { return String(address) }
                }
            }
        }
        return nil
    }
}
