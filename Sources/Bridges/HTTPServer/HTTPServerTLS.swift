import Glibc

/// The certificate and the private key of an HTTPS server, as PEM text. Never printed.
public struct HTTPServerTLS: Sendable, Equatable, CustomStringConvertible {
    let certificate: String
    let key: String

    /// Reads both files, once: a renewed certificate is used after a restart.
    ///
    /// - Parameters:
    ///   - certificateFile: the certificate, followed by those that lead from it to a known authority, PEM.
    ///   - keyFile: the private key without a password, PEM.
    /// - Throws: where a file cannot be read or holds no PEM text. Whether the two belong together is seen when the server starts.
    public init(certificateFile: String, keyFile: String) throws(HTTPServerError) {
        certificate = try Self.read(certificateFile, "certificate")
        key = try Self.read(keyFile, "private key")
    }

    /// `<TLS>`
    public var description: String { "<TLS>" }

    private static func read(_ path: String, _ what: String) throws(HTTPServerError) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw HTTPServerError("The file \(path) with the \(what) cannot be read (\(String(cString: strerror(errno)))).")
        }
        defer { close(file) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while text.count < 1 << 20 {
            let count = Glibc.read(file, &part, part.count)
            guard count > 0 else { break }
            text += part[..<count]
        }
        let pem = String(decoding: text, as: UTF8.self)
        guard pem.contains("-----BEGIN ") else {
            throw HTTPServerError("The file \(path) holds no \(what) in PEM form (-----BEGIN …).")
        }
        return pem
    }
}
