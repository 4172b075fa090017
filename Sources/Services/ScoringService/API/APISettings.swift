import HTTPServer
import ServiceKit
import UseCases

/// The settings of the scoring service's HTTP side.
struct APISettings: Sendable {
    /// Nil lets everyone call.
    let tokens: BearerTokens?
    /// Nil lets no page of another origin call.
    let crossOrigin: CrossOrigin?
    let tls: HTTPServerTLS?
    let threads: Int
    let maximumConnections: Int
    let maximumRequests: Int
    /// Seconds.
    let idleTimeout: Int
    /// Seconds.
    let requestTimeout: Int
    /// Milliseconds that `/predict` waits for the online store.
    let onlineTimeout: Int

    init(_ reader: inout SettingsReader, useCase: UseCase?) {
        tokens = reader.value(
            "VYUHA_API_TOKENS_FILE", default: Self.path("VYUHA_API_TOKENS_FILE"),
            "File of bearer tokens, one a line, for /predict and /model; reloaded when it changes; unset: no token is asked for."
        ) { try BearerTokens(file: $0) }
        crossOrigin = reader.value(
            "VYUHA_CORS_ORIGINS", default: nil, "Web origins whose pages may call, separated by commas, or *; unset: none."
        ) { try CrossOrigin($0) }
        let certificate = reader.value(
            "VYUHA_TLS_CERTIFICATE_FILE", default: Self.path("VYUHA_TLS_CERTIFICATE_FILE"),
            "Certificate chain, PEM; with it the port speaks HTTPS only."
        ) { $0 }
        let key = reader.value("VYUHA_TLS_KEY_FILE", default: Self.path("VYUHA_TLS_KEY_FILE"), "Private key of the certificate, PEM.") { $0 }
        var tls: HTTPServerTLS?
        if let certificate, let key {
            do {
                tls = try HTTPServerTLS(certificateFile: certificate, keyFile: key)
            } catch {
                reader.reject("VYUHA_TLS_CERTIFICATE_FILE: \(error)")
            }
        } else if certificate != nil || key != nil {
            reader.reject("VYUHA_TLS_CERTIFICATE_FILE and VYUHA_TLS_KEY_FILE belong together: set both or none.")
        }
        self.tls = tls
        // Threads overlap their waits for Redis; without such waits a second one would only cost.
        let waits = useCase.map { useCase in PredictedSets.of(useCase).contains { !useCase.plan.featuresLookingBack[$0].isEmpty } } ?? false
        threads = reader.integer("VYUHA_HTTP_THREADS", default: waits ? 4 : 1, in: 1...64, "Threads that answer HTTP requests.")
        maximumConnections = reader.integer(
            "VYUHA_HTTP_CONNECTIONS", default: 512, in: 1...10_000, "Most open connections; further ones wait to be accepted.")
        maximumRequests = reader.integer(
            "VYUHA_HTTP_REQUESTS", default: 256, in: 1...10_000, "Most requests at a time; further ones get 503 and Retry-After.")
        let idle = reader.duration(
            "VYUHA_HTTP_IDLE_TIMEOUT", default: "30s", in: 1_000...3_600_000, "Time without a byte after which a connection is closed.")
        let request = reader.duration(
            "VYUHA_HTTP_REQUEST_TIMEOUT", default: "30s", in: 1_000...3_600_000,
            "Time for a request to arrive and be answered, on top of the idle timeout.")
        idleTimeout = (idle ?? 30_000) / 1000
        requestTimeout = (request ?? 30_000) / 1000
        onlineTimeout =
            reader.duration(
                "VYUHA_ONLINE_TIMEOUT", default: "50ms", in: 1...10_000, "Longest wait of /predict for the online store.") ?? 50
    }

    /// The path in a variable whose own name ends in `_FILE`. The reader takes such a variable for the content of a setting without the
    /// ending and hides it, and a hidden file of tokens would leave the service open to everyone.
    private static func path(_ variable: String) -> String? {
        SettingsReader.processEnvironment()[variable].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The server's part.
    func apply(to server: inout HTTPServerSettings) {
        server.tls = tls
        server.threads = threads
        server.maximumConnections = maximumConnections
        // libmicrohttpd clears a connection's memory, twice this size, after each request.
        server.maximumHeaderBytes = 8 << 10
        server.maximumRequests = maximumRequests
        server.idleTimeout = idleTimeout
        server.requestTimeout = requestTimeout
    }
}
