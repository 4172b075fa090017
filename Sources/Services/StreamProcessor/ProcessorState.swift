import Features
import StateStore

/// The windows and histories of one partition, as the state store keeps them.
final class ProcessorState: PartitionStateful {
    let partition: PartitionState
    private let judgesSilence: Bool
    private var marks: ReplayMarks
    /// Marks for one longest window: the finer, the fewer events are read in vain.
    private static let marksPerWindow: Int64 = 16

    init(_ plan: FeaturePlan, partition number: Int32 = 0) {
        partition = PartitionState(plan: plan, partition: number)
        judgesSilence = plan.silence != nil
        marks = Self.marks(plan, (0, nil))
    }

    private static func marks(_ plan: FeaturePlan, _ first: (offset: Int64, newest: Int64?)) -> ReplayMarks {
        ReplayMarks(first: first.offset, newest: first.newest, distance: plan.longestWindow / marksPerWindow)
    }

    /// A run of records that begins at an offset comes next.
    func noteOffset(_ offset: Int64) {
        guard let newest = partition.newestEventTime, let needed = partition.openWindowStarts?.min() else { return }
        marks.note(newest: newest, at: offset, needed: needed)
    }

    // MARK: PartitionStateful

    /// `windows <offset> <newest event time below it, or -> <start of the first open window of each set>…`; nil where more than windows is
    /// remembered.
    var rebuildNote: String? {
        guard let starts = partition.openWindowStarts, let needed = starts.min() else { return nil }
        let place = marks.place(for: needed)
        return "windows \(place.offset) \(place.newest.map { String($0) } ?? "-")" + starts.map { " \($0)" }.joined()
    }

    func beginRebuild(_ note: String) -> Int64? {
        guard let (place, starts) = Self.parse(note), partition.begin(after: place.newest, windowsFrom: starts) else { return nil }
        marks = Self.marks(partition.plan, place)
        return place.offset
    }

    func resume(_ note: String) {
        if let (place, _) = Self.parse(note) { marks = Self.marks(partition.plan, place) }
    }

    private static func parse(_ note: String) -> (place: (offset: Int64, newest: Int64?), starts: [Int64])? {
        let words = note.split(separator: " ")
        guard words.count > 3, words[0] == "windows", let offset = Int64(words[1]), offset >= 0 else { return nil }
        let newest = Int64(words[2])
        let starts = words[3...].compactMap { Int64($0) }
        guard newest != nil || words[2] == "-", starts.count == words.count - 3 else { return nil }
        return ((offset, newest), starts)
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
