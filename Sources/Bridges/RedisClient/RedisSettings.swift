/// Where a Redis server is, how to sign in, and how long to wait for it.
public struct RedisSettings: Sendable, Equatable, CustomStringConvertible {
    /// Host name or address. An IPv6 address is written without brackets here.
    public var host: String
    /// TCP port, 1 to 65535.
    public var port: Int
    /// User of an access control list; nil signs in as `default` where there is a password.
    public var user: String?
    /// Password; nil sends no AUTH.
    public var password: String?
    /// Number of the database, from 0.
    public var database: Int
    /// Longest wait for one attempt to connect, in milliseconds. Looking up a host name is outside of it.
    public var connectTimeout = 2_000
    /// Longest wait without a byte moving while a command or pipeline is written or its replies are read, in milliseconds.
    public var commandTimeout = 5_000
    /// Largest part of a reply that may wait unparsed, in bytes: in effect the longest string. The server's own limit for
    /// one string is 512 MiB (`proto-max-bulk-len`). An array is bounded by what the caller asks for.
    public var maximumReplyBytes = 64 << 20

    /// A server by host and port.
    public init(
        host: String = "127.0.0.1", port: Int = 6379, user: String? = nil, password: String? = nil, database: Int = 0
    ) {
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.database = database
    }

    /// The URL without the password, as it may be logged.
    public var description: String {
        let login =
            switch (user, password) {
            case (nil, nil): ""
            case (let user, nil): "\(user ?? "")@"
            case (let user, _): "\(user ?? ""):<secret>@"
            }
        let shownHost = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return "redis://\(login)\(shownHost):\(port)/\(database)"
    }

    /// The server as it is named in messages.
    var address: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension RedisSettings {
    /// Reads `redis://[user[:password]@]host[:port][/database]`; user and password may be percent-encoded.
    ///
    /// The scheme is that of the [IANA registration](https://www.iana.org/assignments/uri-schemes/prov/redis). `rediss` (TLS) is
    /// refused, because Debian's hiredis 0.14 has no TLS. A message never repeats the part that may hold a password.
    public init(url: String) throws(RedisError) {
        func wrong(_ sentence: String) -> RedisError { RedisError(.settings, "The Redis URL is wrong: " + sentence, retryable: false) }
        guard let scheme = url.firstRange(of: "://") else {
            throw wrong("it must look like redis://[user[:password]@]host[:port][/database].")
        }
        switch url[..<scheme.lowerBound].lowercased() {
        case "redis": break
        case "rediss": throw wrong("TLS (rediss://) is not supported, so use redis:// on a private network or through a TLS proxy.")
        default: throw wrong("its scheme must be redis://.")
        }
        var rest = url[scheme.upperBound...]
        if rest.contains(where: { $0 == "?" || $0 == "#" }) {
            throw wrong("it has a query or fragment, which is not supported; write ? and # in a password as %3F and %23.")
        }
        self.init()
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at]
            rest = rest[rest.index(after: at)...]
            let colon = login.firstIndex(of: ":")
            let name = login[..<(colon ?? login.endIndex)]
            guard let decodedName = Self.percentDecoded(name) else { throw wrong("the user has an incomplete %-escape.") }
            user = decodedName.isEmpty ? nil : decodedName
            if let colon {
                guard let secret = Self.percentDecoded(login[login.index(after: colon)...]) else {
                    throw wrong("the password has an incomplete %-escape.")
                }
                password = secret.isEmpty ? nil : secret
            }
            if user != nil, password == nil { throw wrong("it names a user but no password.") }
        }
        if let slash = rest.firstIndex(of: "/") {
            let number = rest[rest.index(after: slash)...]
            if !number.isEmpty {
                guard let value = Int(number), value >= 0 else {
                    throw wrong("the database after / must be a number from 0, not \"\(number)\".")
                }
                database = value
            }
            rest = rest[..<slash]
        }
        var portText: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw wrong("the IPv6 address has no closing bracket.") }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            let after = rest[rest.index(after: end)...]
            if after.first == ":" {
                portText = after.dropFirst()
            } else if !after.isEmpty {
                throw wrong("there must be a colon and a port after the IPv6 address.")
            }
        } else if let colon = rest.firstIndex(of: ":") {
            host = String(rest[..<colon])
            portText = rest[rest.index(after: colon)...]
        } else {
            host = String(rest)
        }
        if host.isEmpty { throw wrong("it names no host.") }
        // A NUL would cut the name short for the C library, and a blank is a sure sign of a typing mistake.
        if host.utf8.contains(where: { $0 <= 0x20 }) { throw wrong("the host has a blank or a control character.") }
        if let portText {
            guard let value = Int(portText), (1...65_535).contains(value) else {
                throw wrong("the port must be a number from 1 to 65535, not \"\(portText)\".")
            }
            port = value
        }
    }

    /// The text with its %-escapes undone; nil where an escape is incomplete or the result is not UTF-8.
    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
