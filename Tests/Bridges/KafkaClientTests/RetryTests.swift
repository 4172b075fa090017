import Synchronization
import TestSupport
import Testing

@testable import KafkaClient

/// A broker that is not ready yet: the proxy in front of it answers with errors first.
@Suite struct RetryTests {
    private final class Setup: Sendable {
        let cluster: Cluster
        let proxy: KafkaProxy
        let lines = Mutex<[KafkaLogLine]>([])

        init() throws {
            let cluster = try Cluster(("t", 2))
            self.cluster = cluster
            proxy = try KafkaProxy(to: cluster.broker.bootstrapServers)
        }

        deinit { proxy.close() }

        var settings: KafkaSettings {
            KafkaSettings(
                bootstrapServers: proxy.bootstrapServers, properties: EmbeddedBroker.clientProperties, log: { [self] in note($0) })
        }

        private func note(_ line: KafkaLogLine) { lines.withLock { $0.append(line) } }
        var retries: [KafkaLogLine] { lines.withLock { $0.filter { $0.facility == KafkaLogLine.retry } } }
    }

    @Test("watermarks are read once a new partition has its leader, with one line in the log")
    func watermarks() async throws {
        try await onThread {
            let setup = try Setup()
            try setup.cluster.fill("t", with: 0..<3)
            // NOT_LEADER_FOR_PARTITION, then UNKNOWN_TOPIC_OR_PARTITION.
            setup.proxy.answer(.listOffsets, with: .error(6), times: 3)
            setup.proxy.answer(.listOffsets, with: .error(3), times: 2)
            let admin = try KafkaAdmin(setup.settings)
            #expect(try admin.watermarks(TopicPartition("t", 0)) == Watermarks(low: 0, high: 3))
            #expect(setup.proxy.pending(.listOffsets) == 0)
            #expect(setup.retries.count == 1)
            #expect(setup.retries.first?.message.contains("It is tried again for up to 10 s.") == true)
        }
    }

    @Test("offsets are committed and read once the coordinator is there and has loaded")
    func offsets() async throws {
        try await onThread {
            let setup = try Setup()
            let admin = try KafkaAdmin(setup.settings)
            let place = TopicPartition("t", 1)
            // COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR.
            setup.proxy.answer(.findCoordinator, with: .error(15), times: 2)
            setup.proxy.answer(.offsetCommit, with: .error(14), times: 2)
            setup.proxy.answer(.offsetCommit, with: .error(16), times: 1)
            try admin.setOffsets(group: "g", [PartitionOffset(place, 7)], timeout: 30_000)
            setup.proxy.answer(.offsetFetch, with: .error(14), times: 3)
            #expect(try admin.committed(group: "g", [place], timeout: 30_000).map(\.offset) == [7])
            #expect(setup.proxy.pending(.offsetCommit) == 0 && setup.proxy.pending(.offsetFetch) == 0)
        }
    }

    @Test("a topic that a broker has not heard of yet is waited for, one that is not there is missing")
    func unknownTopic() async throws {
        try await onThread {
            let setup = try Setup()
            let admin = try KafkaAdmin(setup.settings)
            // UNKNOWN_TOPIC_OR_PARTITION; the client asks once for itself.
            setup.proxy.answer(.metadata, with: .error(3), times: 4)
            #expect(try admin.topics(expecting: ["t"])["t"] == 2)
            #expect(setup.proxy.pending(.metadata) == 0)
            #expect(try admin.topics(expecting: ["t", "none"]) == ["t": 2])
        }
    }

    @Test("a connection that breaks is opened again for the call that it broke")
    func disconnect() async throws {
        try await onThread {
            let setup = try Setup()
            try setup.cluster.fill("t", with: 0..<3)
            let admin = try KafkaAdmin(setup.settings)
            setup.proxy.answer(.metadata, with: .disconnect, times: 2)
            setup.proxy.answer(.listOffsets, with: .disconnect, times: 2)
            #expect(try admin.topics(timeout: 30_000) == ["t": 2])
            #expect(try admin.watermarks(TopicPartition("t", 0), timeout: 30_000).high == 3)
        }
    }

    @Test("a transactional producer is ready once its coordinator is")
    func transactions() async throws {
        try await onThread {
            let setup = try Setup()
            setup.proxy.answer(.findCoordinator, with: .error(15), times: 2)
            setup.proxy.answer(.initProducerID, with: .error(14), times: 2)
            let producer = try KafkaProducer(setup.settings, transactionalID: "p")
            try producer.initTransactions(timeout: 30_000)
            #expect(setup.proxy.pending(.initProducerID) == 0)
            try producer.close()
        }
    }

    @Test("the error is thrown when the time is up")
    func deadline() async throws {
        try await onThread { try Self.expectDeadline() }
    }

    private static func expectDeadline() throws {
        let setup = try Setup()
        let admin = try KafkaAdmin(setup.settings)
        setup.proxy.answer(.listOffsets, with: .error(6), times: 1_000)
        let error = failure { _ = try admin.watermarks(TopicPartition("t", 0), timeout: 400) }
        #expect(error?.isRetryable == true)
        #expect(setup.retries.count == 1)
    }

    @Test("an error that waiting does not mend is thrown at once")
    func lasting() async throws {
        try await onThread { try Self.expectLasting() }
    }

    private static func expectLasting() throws {
        let setup = try Setup()
        let admin = try KafkaAdmin(setup.settings)
        // TOPIC_AUTHORIZATION_FAILED.
        setup.proxy.answer(.listOffsets, with: .error(29), times: 1_000)
        let error = failure { _ = try admin.watermarks(TopicPartition("t", 0), timeout: 30_000) }
        #expect(error?.name == "TOPIC_AUTHORIZATION_FAILED")
        #expect(error?.isRetryable == false)
        #expect(setup.retries.isEmpty)
    }
}
