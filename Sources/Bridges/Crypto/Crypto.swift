import CCrypto

/// Digests, signatures and random bytes by [libcrypto](https://docs.openssl.org/3.0/man7/crypto/).
public enum Crypto {
    /// SHA-1, 20 bytes ([RFC 3174](https://www.rfc-editor.org/rfc/rfc3174)); only for protocols that ask for it, such as the WebSocket
    /// handshake: collisions can be made.
    public static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        _ = SHA1(bytes, bytes.count, &digest)
        return digest
    }

    /// HMAC with SHA-256, 32 bytes ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)).
    public static func hmacSHA256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        var length: UInt32 = 0
        _ = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &digest, &length)
        return digest
    }

    /// Bytes that nobody can guess; nil where the system has none to give.
    public static func random(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return RAND_bytes(&bytes, Int32(count)) == 1 ? bytes : nil
    }

    /// Base64 with padding ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648)).
    public static func base64(_ bytes: [UInt8]) -> String {
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text[..<Int(count)], as: UTF8.self)
    }
}
