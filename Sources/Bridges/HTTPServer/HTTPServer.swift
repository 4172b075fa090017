import CMicroHTTPD
import Glibc
import Synchronization

/// An HTTP/1.1 server of a few threads ([libmicrohttpd](https://www.gnu.org/software/libmicrohttpd/), poll mode).
///
/// The handler runs on the server's threads, one request at a time on each: while it works, the other connections of that thread
/// wait, so it must be short and must not call ``stop(graceSeconds:)``. HEAD, 413, 431, keep-alive and 100-continue are dealt
/// with here. Cost: about 7 µs of CPU for a request of 150 bytes, most of it in the kernel.
public final class HTTPServer: Sendable {
    /// The port that it listens on.
    public let port: Int
    private let core: ServerCore
    private let running: Mutex<Running?>

    /// What must be ended, once. `@unchecked Sendable` because it is reached only under the lock.
    private struct Running: @unchecked Sendable {
        let daemon: OpaquePointer
    }

    /// Listens and serves until ``stop(graceSeconds:)`` or until the last reference goes.
    ///
    /// - Throws: where the address or port cannot be had.
    public init(
        _ settings: HTTPServerSettings, handler: @escaping @Sendable (borrowing HTTPServerRequest) -> HTTPServerResponse
    ) throws(HTTPServerError) {
        let listener = try openListener(settings)
        core = try ServerCore(settings, handler)
        let context = Unmanaged.passUnretained(core).toOpaque()
        let options = vyuha_mhd_settings(
            listen_socket: listener.descriptor, threads: UInt32(max(1, settings.threads)),
            connection_limit: UInt32(max(1, settings.threads, settings.maximumConnections)),
            idle_timeout_seconds: UInt32(max(1, settings.idleTimeout)), connection_memory: 2 * max(1024, settings.maximumHeaderBytes))
        let started: OpaquePointer?
        if let tls = settings.tls {
            started = tls.certificate.withCString { certificate in
                tls.key.withCString { key in
                    vyuha_mhd_start_tls(options, handleRequest, requestCompleted, connectionChanged, context, certificate, key)
                }
            }
        } else {
            started = vyuha_mhd_start(options, handleRequest, requestCompleted, connectionChanged, context)
        }
        guard let daemon = started else {
            close(listener.descriptor)
            if settings.tls != nil {
                throw HTTPServerError(
                    "The HTTPS server cannot start: the certificate or the private key cannot be used, or they do not belong together.")
            }
            throw HTTPServerError("The HTTP server cannot start: there are too few threads or too little memory.")
        }
        port = listener.port
        var watch = pthread_t()
        guard pthread_create(&watch, nil, watchConnections, Unmanaged.passRetained(core).toOpaque()) == 0 else {
            MHD_stop_daemon(daemon)
            Unmanaged.passUnretained(core).release()
            throw HTTPServerError("The HTTP server cannot start its second thread.")
        }
        // It holds the core, and ends by itself within half a second of a stop, which need not wait for it.
        pthread_detach(watch)
        running = Mutex(Running(daemon: daemon))
    }

    deinit { stop(graceSeconds: 0) }

    /// Stops accepting, lets requests in flight be answered within the grace, then closes every connection.
    ///
    /// A request is in flight from the arrival of its headers on. Answers carry `Connection: close` from now on. A handler that
    /// runs is waited for beyond the grace. A second call does nothing; not to be called by the handler.
    public func stop(graceSeconds: Double = 5) {
        let ending = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let ending else { return }
        core.isStopping.store(true, ordering: .relaxed)
        let listener = MHD_quiesce_daemon(ending.daemon)
        if listener >= 0 { close(listener) }
        core.endStreams()
        core.sockets.stop()
        let end = ContinuousClock.now + .seconds(max(0, graceSeconds))
        while core.inFlight.load(ordering: .relaxed) > 0, ContinuousClock.now < end { usleep(2_000) }
        MHD_stop_daemon(ending.daemon)
    }
}

/// Looks after slow connections until the server stops.
private func watchConnections(_ core: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let core else { return nil }
    let owned = Unmanaged<ServerCore>.fromOpaque(core).takeRetainedValue()
    while !owned.isStopping.load(ordering: .relaxed) {
        owned.cutOffSlow()
        usleep(500_000)
    }
    return nil
}
