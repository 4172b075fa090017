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
    /// How far the windows of one set are: what a state must know that is rebuilt from the events of open windows.
    public struct WindowPlace: Sendable, Equatable {
        /// Start of the earliest window that is not closed.
        public var start: Int64
        /// End of the last window that was emitted early, and how often the one was that was emitted most often; nil where none was that is not
        /// closed.
        public var early: (end: Int64, emitted: UInt32)?

        public init(start: Int64, early: (end: Int64, emitted: UInt32)? = nil) {
            self.start = start
            self.early = early
        }

        public static func == (a: WindowPlace, b: WindowPlace) -> Bool {
            a.start == b.start && a.early?.end == b.early?.end && a.early?.emitted == b.early?.emitted
        }
    }

    /// Of each window set in the order of the plan: no event before the least of their starts matters any more. Nil before the first event, and
    /// where more than windows is remembered.
    public var windowPlaces: [WindowPlace]? {
        guard plan.remembersWindowsOnly else { return nil }
        let places = core.windows.compactMap(\.place)
        return places.count == core.windows.count ? places : nil
    }

    /// Begins where events are read again: with the newest event time before them, and with these windows, since earlier ones were emitted
    /// before. What was emitted early is emitted again when it is closed, under a higher revision. To be called before the first event.
    /// - Returns: false when they are another plan's.
    public func begin(after newest: Int64?, windowsFrom places: [WindowPlace]) -> Bool {
        guard plan.remembersWindowsOnly, newestEventTime == nil else { return false }
        return core.begin(after: newest, places)
    }
}

extension WindowSet {
    fileprivate var place: PartitionState.WindowPlace? {
        guard let nextStart else { return nil }
        let isOpen = early.end >= nextStart + program.length
        return .init(start: nextStart, early: isOpen ? (early.end, early.most) : nil)
    }
}

extension PartitionCore {
    mutating func begin(after newest: Int64?, _ places: [PartitionState.WindowPlace]) -> Bool {
        let range = CivilTime.earliest - 2 * FeaturePlan.maximumWindow..<CivilTime.end + 2 * FeaturePlan.maximumWindow
        let areOurs =
            places.count == windows.count
            && zip(places, windows).allSatisfy { place, window in
                guard range.contains(place.start), place.start % window.program.slide == 0 else { return false }
                guard let end = place.early?.end else { return true }
                return range.contains(end) && (end - window.program.length) % window.program.slide == 0
            }
        guard areOurs, newest.map(range.contains) ?? true else { return false }
        for (i, place) in places.enumerated() {
            windows[i].nextStart = place.start
            if let early = place.early { windows[i].early.assume(end: early.end, emitted: early.emitted) }
        }
        findNextEnd()
        if let newest { self.newest = newest }
        raiseHorizon()
        return true
    }
}
