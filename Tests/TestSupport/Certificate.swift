import Glibc

/// A certificate for `localhost` that nobody but the test trusts, made by the program `openssl`; its files go with the last reference.
public final class Certificate: Sendable {
    /// PEM files.
    public let certificateFile: String
    public let keyFile: String

    public init() throws(TestSupportError) {
        var template = Array("/tmp/vyuha-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestSupportError("No temporary directory can be made.") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        certificateFile = folder + "/certificate.pem"
        keyFile = folder + "/key.pem"
        let command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            + "-addext subjectAltName=DNS:localhost -keyout \(keyFile) -out \(certificateFile) 2>&1"
        guard let pipe = popen(command, "re") else { throw TestSupportError("No shell can be started.") }
        var output = [CChar](repeating: 0, count: 4_096)
        while fgets(&output, Int32(output.count), pipe) != nil {}
        guard pclose(pipe) == 0 else {
            throw TestSupportError("The program openssl cannot make a certificate; is the package openssl installed?")
        }
    }

    deinit {
        unlink(certificateFile)
        unlink(keyFile)
        if let slash = keyFile.lastIndex(of: "/") { rmdir(String(keyFile[..<slash])) }
    }
}
