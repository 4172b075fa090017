import CRDKafka

/// What C callbacks of one client reach through its opaque pointer.
///
/// Log lines arrive on any thread and touch only the immutable handlers; everything else is touched only on the thread that polls.
final class ClientContext {
    let log: (@Sendable (KafkaLogLine) -> Void)?
    let statistics: (@Sendable (String) -> Void)?
    /// Rebalances that librdkafka announced and that wait to be carried out by the polling thread.
    var pendingRebalances: [PendingRebalance] = []
    /// Called right inside the C callback; set by the consumer while it closes, and to wake a waiting poll.
    var onRebalance: (() -> Void)?
    /// Errors for the next poll to throw; bounded, the oldest are kept because they are nearest to the cause.
    private(set) var errors: [KafkaError] = []
    var failedCommits = 0
    var lastCommitError: KafkaError?

    init(_ settings: KafkaSettings) {
        log = settings.log
        statistics = settings.statistics
    }

    func add(_ error: KafkaError) {
        if errors.count < 64 { errors.append(error) }
    }

    func takeError() -> KafkaError? { errors.isEmpty ? nil : errors.removeFirst() }
}

struct PendingRebalance {
    let code: rd_kafka_resp_err_t
    let partitions: [TopicPartition]
}

/// One `rd_kafka_t` and the context of its callbacks; destroys the client when released.
final class ClientHandle {
    let pointer: OpaquePointer
    let context: ClientContext
    /// Leaves the client's memory and threads to the end of the process.
    var isAbandoned = false

    /// - Parameters:
    ///   - properties: lists in rising precedence; a later one overwrites an earlier one.
    ///   - configure: sets callbacks and events on the configuration.
    init(
        _ kind: rd_kafka_type_t, _ settings: KafkaSettings, properties: [[(String, String)]],
        configure: (OpaquePointer) -> Void = { _ in }
    ) throws(KafkaError) {
        context = ClientContext(settings)
        guard let configuration = rd_kafka_conf_new() else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "There is no memory left for a Kafka client.")
        }
        do throws(KafkaError) {
            for (name, value) in properties.joined() { try Self.set(name, value, in: configuration) }
        } catch {
            rd_kafka_conf_destroy(configuration)
            throw error
        }
        rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(context).toOpaque())
        rd_kafka_conf_set_log_cb(configuration, onLog)
        rd_kafka_conf_set_error_cb(configuration, onError)
        if settings.statistics != nil { rd_kafka_conf_set_stats_cb(configuration, onStatistics) }
        configure(configuration)
        var reason = [CChar](repeating: 0, count: 512)
        guard let client = rd_kafka_new(kind, configuration, &reason, reason.count) else {
            // librdkafka takes the configuration only on success.
            rd_kafka_conf_destroy(configuration)
            throw KafkaError(
                code: RD_KAFKA_RESP_ERR__INVALID_ARG, "The Kafka client cannot be made with these properties: \(KafkaError.text(reason)).")
        }
        pointer = client
    }

    private static func set(_ name: String, _ value: String, in configuration: OpaquePointer) throws(KafkaError) {
        var reason = [CChar](repeating: 0, count: 512)
        guard rd_kafka_conf_set(configuration, name, value, &reason, reason.count) != RD_KAFKA_CONF_OK else { return }
        // librdkafka repeats the value in its text.
        let isSecret = ["password", "secret", "pem", "oauthbearer.config"].contains { name.contains(substring: $0) }
        let detail = isSecret ? "the value is not valid" : KafkaError.text(reason)
        throw KafkaError(code: RD_KAFKA_RESP_ERR__INVALID_ARG, "The Kafka property \"\(name)\" cannot be set: \(detail).")
    }

    deinit {
        if isAbandoned {
            // The client's threads still reach it.
            _ = Unmanaged.passRetained(context)
        } else {
            rd_kafka_destroy(pointer)
        }
    }
}

extension String {
    /// Without Foundation.
    fileprivate func contains(substring: String) -> Bool {
        indices.contains { self[$0...].hasPrefix(substring) }
    }
}

// MARK: C callbacks. Free functions: a closure could be inferred to belong to an actor and would trap on librdkafka's threads.

func context(_ opaque: UnsafeMutableRawPointer?) -> ClientContext? {
    opaque.map { Unmanaged<ClientContext>.fromOpaque($0).takeUnretainedValue() }
}

private func onLog(_ client: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?) {
    guard let client, let log = context(rd_kafka_opaque(client))?.log else { return }
    log(
        KafkaLogLine(
            level: level, facility: facility.map { String(cString: $0) } ?? "", message: text.map { String(cString: $0) } ?? "",
            client: String(cString: rd_kafka_name(client))))
}

private func onError(
    _ client: OpaquePointer?, _ code: Int32, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let client, let context = context(opaque) else { return }
    // Connection errors heal by themselves, so they are only told; a fatal one must stop the caller.
    if code == RD_KAFKA_RESP_ERR__FATAL.rawValue, let fatal = KafkaError.fatal(of: client) { context.add(fatal) }
    context.log?(
        KafkaLogLine(
            level: 4, facility: String(cString: rd_kafka_err2name(rd_kafka_resp_err_t(code))),
            message: reason.map { String(cString: $0) } ?? "", client: String(cString: rd_kafka_name(client))))
}

/// Returns 0: librdkafka frees the text.
private func onStatistics(
    _ client: OpaquePointer?, _ json: UnsafeMutablePointer<CChar>?, _ length: Int, _ opaque: UnsafeMutableRawPointer?
) -> Int32 {
    guard let json, let statistics = context(opaque)?.statistics else { return 0 }
    statistics(String(decoding: UnsafeRawBufferPointer(start: json, count: length), as: UTF8.self))
    return 0
}
