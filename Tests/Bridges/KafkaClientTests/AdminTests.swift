import Testing

@testable import KafkaClient

@Suite("Administration")
struct AdminTests {
    @Test("an absent broker is a retryable error with a clear sentence; a present one is found")
    func waitForBroker() async throws {
        try await onThread {
            let absent = try KafkaAdmin(KafkaSettings(bootstrapServers: "127.0.0.1:1"))
            let error = try #require(failure { try absent.waitForBroker(timeout: 200) })
            #expect(error.isRetryable)
            #expect(error.message.contains("127.0.0.1:1"))
            let cluster = try Cluster()
            try KafkaAdmin(cluster.settings).waitForBroker(timeout: 5000)
        }
    }

    @Test("topics are listed with their partitions; existing ones are fine, a wrong count is an error that names both counts")
    func topics() async throws {
        try await onThread {
            let cluster = try Cluster(("a", 3), ("b", 1))
            let admin = try KafkaAdmin(cluster.settings)
            #expect(try admin.topics() == ["a": 3, "b": 1])
            #expect(try admin.partitions(of: "a") == 3)
            #expect(try admin.partitions(of: "nowhere") == nil)
            #expect(try admin.topics().count == 2)
            try admin.createTopics([TopicSpec(name: "a", partitions: 3), TopicSpec(name: "b", partitions: 1)])
            let error = try #require(failure { try admin.createTopics([TopicSpec(name: "a", partitions: 4)]) })
            #expect(error.message.contains("3 partitions") && error.message.contains("4 are wanted"))
            // The embedded broker knows no CreateTopics request; what matters is that the answer is an error, and soon.
            #expect(failure { try admin.createTopics([TopicSpec(name: "new", partitions: 1)], timeout: 500) } != nil)
            #expect(failure { try admin.deleteTopics(["a"], timeout: 500) } != nil)
        }
    }

    @Test("a group's lag follows its commits and a reset starts it anew")
    func groupLag() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 2))
            try cluster.fill("t", with: 0..<30)
            let admin = try KafkaAdmin(cluster.settings)
            let partition = TopicPartition("t", 0)
            #expect(try admin.lag(group: "g", topics: ["t", "nowhere"]) == [partition: 30, TopicPartition("t", 1): 0])
            try admin.setOffsets(group: "g", [PartitionOffset(partition, 12, metadata: "m")])
            #expect(try admin.lag(group: "g", topics: ["t"])[partition] == 18)
            #expect(try admin.committed(group: "g", [partition]) == [PartitionOffset(partition, 12, metadata: "m")])
            try admin.resetOffsets(group: "g", topics: ["t"])
            #expect(try admin.lag(group: "g", topics: ["t"])[partition] == 30)
            #expect(try admin.watermarks(partition) == Watermarks(low: 0, high: 30))
        }
    }
}
