import Features
import KafkaClient
import Streaming

/// Event time goes on to this, milliseconds since the epoch, since no event came for so long.
struct EventTimeAdvance: RawRepresentable, Equatable {
    let rawValue: Int64
}

/// The windows and histories of one partition, as the state store keeps them.
final class ProcessorState: PartitionStateful {
    let partition: PartitionState
    private var marks: ReplayMarks
    /// Keys of the records whose state is fetched ahead.
    private var keys: [Range<Int>] = []
    /// Marks for one longest window: the finer, the fewer events are read in vain.
    private static let marksPerWindow: Int64 = 16

    init(_ plan: FeaturePlan, partition number: Int32 = 0) {
        partition = PartitionState(plan: plan, partition: number)
        marks = Self.marks(plan, (0, nil))
    }

    private static func marks(_ plan: FeaturePlan, _ first: (offset: Int64, newest: Int64?)) -> ReplayMarks {
        ReplayMarks(first: first.offset, newest: first.newest, distance: plan.longestWindow / marksPerWindow)
    }

    /// Has the state of a run's entities fetched into the processor's cache, where there is a lot of it.
    func willApply(_ records: ArraySlice<ConsumedRecord>, of batch: borrowing RecordBatch) {
        if let first = records.first { noteOffset(first.offset) }
        keys.removeAll(keepingCapacity: true)
        for record in records { if let key = record.key { keys.append(key) } }
        partition.touch(batch.bytes, keys)
    }

    /// A run of records that begins at an offset comes next.
    func noteOffset(_ offset: Int64) {
        guard let newest = partition.newestEventTime, let needed = partition.windowPlaces?.map(\.start).min() else { return }
        marks.note(newest: newest, at: offset, needed: needed)
    }

    // MARK: PartitionStateful

    /// `windows <offset> <newest event time below it, or -> <start of the first open window of each set>…`; where windows were emitted early, a start
    /// is followed by `/<end of the last one>/<most times that one was>`. Nil where more than windows is remembered.
    var rebuildNote: String? {
        guard let places = partition.windowPlaces, let needed = places.map(\.start).min() else { return nil }
        let mark = marks.place(for: needed)
        let windows = places.map { place in " \(place.start)" + (place.early.map { "/\($0.end)/\($0.emitted)" } ?? "") }
        return "windows \(mark.offset) \(mark.newest.map { String($0) } ?? "-")" + windows.joined()
    }

    func beginRebuild(_ note: String) -> Int64? {
        guard let (mark, places) = Self.parse(note), partition.begin(after: mark.newest, windowsFrom: places) else { return nil }
        marks = Self.marks(partition.plan, mark)
        return mark.offset
    }

    func resume(_ note: String) {
        if let (mark, _) = Self.parse(note) { marks = Self.marks(partition.plan, mark) }
    }

    private static func parse(_ note: String) -> (mark: (offset: Int64, newest: Int64?), places: [PartitionState.WindowPlace])? {
        let words = note.split(separator: " ")
        guard words.count > 3, words[0] == "windows", let offset = Int64(words[1]), offset >= 0 else { return nil }
        let newest = Int64(words[2])
        let places = words[3...].compactMap { place($0) }
        guard newest != nil || words[2] == "-", places.count == words.count - 3 else { return nil }
        return ((offset, newest), places)
    }

    private static func place(_ word: Substring) -> PartitionState.WindowPlace? {
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        guard let start = Int64(parts[0]) else { return nil }
        if parts.count == 1 { return .init(start: start) }
        guard parts.count == 3, let end = Int64(parts[1]), let emitted = UInt32(parts[2]) else { return nil }
        return .init(start: start, early: (end, emitted))
    }

    func write(whole: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        partition.writeSnapshot(whole ? .full : .changes, into: &bytes)
        return bytes
    }

    func restore(_ parts: [[UInt8]]) throws {
        for part in parts { try partition.restore(part) }
    }

    /// Time goes on with the clock while nothing arrives, where something waits for it: a window that was not emitted as it is now, or an entity
    /// whose silence would be noticed.
    func decisionDue(silence: Int64) -> EventTimeAdvance? {
        guard let newest = partition.newestEventTime, partition.isDue(at: newest + silence) else { return nil }
        return EventTimeAdvance(rawValue: newest + silence)
    }
}
