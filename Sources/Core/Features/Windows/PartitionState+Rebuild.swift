import Text

extension FeaturePlan {
    /// Whether the state holds nothing but windows, so that it can be rebuilt from the events of a bounded time.
    public var remembersWindowsOnly: Bool {
        silence == nil && event.previous.isEmpty && event.rolling.isEmpty && windows.contains { $0 != nil }
    }

    /// Length of the longest window in milliseconds; 0 where there is none.
    public var longestWindow: Int64 { windows.reduce(0) { max($0, $1?.length ?? 0) } }
}

/// Rebuilding state from events where its snapshot is gone: what must be known beside the events themselves.
extension PartitionState {
    /// Start of the earliest window that is not closed, of each window set in the order of the plan: no event before the least of them matters any
    /// more. Nil before the first event, and where more than windows is remembered.
    public var openWindowStarts: [Int64]? {
        guard plan.remembersWindowsOnly else { return nil }
        let starts = core.windows.compactMap(\.nextStart)
        return starts.count == core.windows.count ? starts : nil
    }

    /// Begins where events are read again: with the newest event time before them, and with these windows, since earlier ones were emitted
    /// before. To be called before the first event.
    /// - Returns: false when they are another plan's.
    public func begin(after newest: Int64?, windowsFrom starts: [Int64]) -> Bool {
        guard plan.remembersWindowsOnly, newestEventTime == nil else { return false }
        return core.begin(after: newest, starts)
    }
}

extension PartitionCore {
    mutating func begin(after newest: Int64?, _ starts: [Int64]) -> Bool {
        let range = CivilTime.earliest - 2 * FeaturePlan.maximumWindow..<CivilTime.end + 2 * FeaturePlan.maximumWindow
        let areOurs = starts.count == windows.count && zip(starts, windows).allSatisfy { range.contains($0) && $0 % $1.program.slide == 0 }
        guard areOurs, newest.map(range.contains) ?? true else { return false }
        for i in windows.indices { windows[i].nextStart = starts[i] }
        findNextEnd()
        if let newest { self.newest = newest }
        return true
    }
}
