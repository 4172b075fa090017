/// How event time is judged in one partition. Every duration in milliseconds.
public struct EventTimeRules: Sendable, Equatable {
    /// How much older than the newest event a timely one may be: the watermark is the newest event time minus this. 0 or more.
    public var outOfOrderness: Int64
    /// How much longer a window stays open: it is emitted and closed when the watermark has passed its end by this. An event that is older
    /// than the watermark minus this is late. 0 or more.
    public var allowedLateness: Int64
    /// How far apart, at most, partitions close windows of the same end: each waits a share of this on top of the allowed lateness, the same
    /// share always. Many entities' windows then do not fall due in one instant. 0 or more.
    public var closeSpread: Int64
    /// How far ahead of its Kafka timestamp an event's time may be. Nil: not judged.
    public var maximumFuture: Int64?
    /// How far behind its Kafka timestamp an event's time may be. Nil: not judged, as replays of old files need it.
    public var maximumPast: Int64?
    /// Entities that one partition remembers; for one more, the least recently seen leaves. 1...4,000,000.
    public var maximumEntities: Int

    public init(
        outOfOrderness: Int64 = 0, allowedLateness: Int64 = 0, closeSpread: Int64 = 0, maximumFuture: Int64? = 300_000,
        maximumPast: Int64? = nil, maximumEntities: Int = 100_000
    ) {
        self.outOfOrderness = outOfOrderness
        self.allowedLateness = allowedLateness
        self.closeSpread = closeSpread
        self.maximumFuture = maximumFuture
        self.maximumPast = maximumPast
        self.maximumEntities = maximumEntities
    }

    /// How long after the newest event of a partition an older one may still come, in any of them.
    public var longestDelay: Int64 { outOfOrderness + allowedLateness + closeSpread }

    /// The allowed lateness in one partition. Multiples of the golden ratio's fraction lie evenly between 0 and 1, however many there are.
    func lateness(in partition: Int32) -> Int64 {
        let share = (Double(partition) * 0.618_033_988_749_894_9).truncatingRemainder(dividingBy: 1)
        return allowedLateness + Int64(Double(closeSpread) * share)
    }
}

/// All feature sets of a use case, checked and compiled. Immutable, shared by threads.
public struct FeaturePlan: Sendable {
    public let schema: EventSchema
    /// In the order in which they were given; emissions name a set by its position here.
    public let sets: [FeatureSetInfo]
    public let time: EventTimeRules
    /// Nil: silence is not watched.
    public let silence: SilenceRules?
    /// Whether a vector depends on more than its own event.
    public let needsHistory: Bool
    /// Of everything that decides a vector or the layout of the state: a snapshot of another plan is refused.
    public let fingerprint: UInt64

    let event: EventProgram
    /// Per set the registers of an event set's features in the event program; empty for a window set.
    let eventOutputs: [[Int]]
    /// Per set the register of the event program that says whether the set takes an event; -1 where it takes all.
    let conditions: [Int]
    /// Per set the positions of the features that an event alone cannot give: those whose own expression looks at events before it, and all of a
    /// window set. What is made of them by name is not among them.
    public let featuresLookingBack: [[Int]]

    /// Per set the program of a window set.
    let windows: [WindowProgram?]

    /// Most sets, and most features in one.
    public static let maximumSets = 64
    public static let maximumFeatures = 512
    /// Longest window in milliseconds: 366 days.
    public static let maximumWindow: Int64 = 366 * 86_400_000
    /// Largest `maximumPast`: a hundred years.
    public static let maximumPast: Int64 = 36_525 * 86_400_000

    /// - Parameter zones: Finds the rules of the time zones that expressions name.
    public init(
        schema: EventSchema, sets: [FeatureSetDefinition], time: EventTimeRules = EventTimeRules(), silence: SilenceRules? = nil,
        zones: @escaping ZoneLookup = { _ in nil }
    ) throws(FeaturePlanError) {
        func fail(_ set: String?, _ message: String) -> FeaturePlanError {
            FeaturePlanError(set: set, feature: nil, error: ExpressionError(message))
        }
        guard (1...Self.maximumSets).contains(sets.count) else {
            throw fail(nil, "A use case has between 1 and \(Self.maximumSets) feature sets.")
        }
        guard (0...Self.maximumWindow).contains(time.outOfOrderness), (0...Self.maximumWindow).contains(time.allowedLateness),
            (0...Self.maximumWindow).contains(time.closeSpread), time.maximumFuture.map({ (0...Self.maximumWindow).contains($0) }) ?? true,
            time.maximumPast.map({ (0...Self.maximumPast).contains($0) }) ?? true
        else { throw fail(nil, "Out-of-orderness, allowed lateness, close spread and maximum future lie between 0 and 366 days.") }
        guard (1...4_000_000).contains(time.maximumEntities) else {
            throw fail(nil, "The maximum number of entities lies between 1 and 4000000.")
        }
        if let mistake = silence?.mistake(schema) { throw fail(nil, mistake) }
        let builder = EventProgramBuilder(schema: schema)
        var outputs: [[Int]] = []
        var lookingBack: [[Int]] = []
        var conditions: [Int] = []
        var windows: [WindowProgram?] = []
        var names: Set<String> = []
        for set in sets {
            guard names.insert(set.name).inserted else { throw fail(set.name, "There are two feature sets `\(set.name)`.") }
            guard (1...Self.maximumFeatures).contains(set.features.count) else {
                throw fail(set.name, "The feature set `\(set.name)` must have between 1 and \(Self.maximumFeatures) features.")
            }
            if case .window(let length, let slide) = set.scope {
                guard slide >= 1, slide <= length, length <= Self.maximumWindow else {
                    throw fail(
                        set.name,
                        "The window of `\(set.name)` needs a slide of at least 1 ms that is not longer than its length, and a length of at most 366 days."
                    )
                }
            }
            guard builder.conditionCount < 63 else { throw fail(set.name, "The sets of a use case have at most 63 different `when`.") }
            let compiler = try SetCompiler(schema: schema, set: set, zones: zones, event: builder)
            let registers = try compiler.compile()
            outputs.append(compiler.window == nil ? registers : [])
            conditions.append(compiler.condition)
            lookingBack.append(compiler.window == nil ? compiler.lookingBack.sorted() : Array(registers.indices))
            windows.append(compiler.window?.build(outputs: registers))
        }
        self.schema = schema
        self.sets = sets.map { FeatureSetInfo(name: $0.name, scope: $0.scope, isConditional: $0.condition != nil, features: $0.features.map(\.name)) }
        self.time = time
        self.silence = silence
        event = builder.build()
        eventOutputs = outputs
        self.conditions = conditions
        featuresLookingBack = lookingBack
        self.windows = windows
        needsHistory = !event.previous.isEmpty || !event.rolling.isEmpty || windows.contains { $0 != nil } || silence != nil
        fingerprint = Self.fingerprint(schema, sets, time, silence)
    }
}
