import Features
import StateStore

/// The windows and histories of one partition, as the state store keeps them.
final class ProcessorState: PartitionStateful {
    let partition: PartitionState
    private let judgesSilence: Bool

    init(_ plan: FeaturePlan) {
        partition = PartitionState(plan: plan)
        judgesSilence = plan.silence != nil
    }

    func write(whole: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        partition.writeSnapshot(whole ? .full : .changes, into: &bytes)
        return bytes
    }

    func restore(_ parts: [[UInt8]]) throws {
        for part in parts { try partition.restore(part) }
    }

    /// Event time goes on with the clock while nothing arrives, as long as something waits for it: an open window, or an entity whose
    /// silence would be noticed.
    func advanceDue(silence: Int64) -> Int64? {
        guard partition.paneCount > 0 || judgesSilence, let newest = partition.newestEventTime else { return nil }
        return newest + silence
    }
}
