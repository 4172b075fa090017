import Testing

@testable import VyuhaCtl

/// What `up` says of sources of every kind, on a virtual clock: the books and the watch as a run has them.
@Suite("The watch on answers")
struct AnswerWatchTests {
    private static let second = 1_000.0
    private static let hour = 3_600 * second

    /// A run whose events and answers come when a test says so.
    private struct Scene {
        var account: FlowAccount
        var watch: AnswerWatch
        var notices: [String] = []
        private var count = 0

        init(sets: [FlowSet] = [FlowSet("reading", isPerEvent: true)], longestDelay: Double = 0) {
            account = FlowAccount(startedAt: 0, sets: sets)
            watch = AnswerWatch(start: 0, longestDelay: Int64(longestDelay))
        }

        /// - Returns: the event's number.
        mutating func event(at now: Double) -> Int {
            count += 1
            let name = "pumps.csv:\(count)"
            account.event(IdentityHash.of(name), name: Array(name.utf8)[...], producedAt: Int64(now), field: .nan, arrival: now)
            return count
        }

        mutating func answer(_ number: Int, at now: Double) {
            let id = IdentityHash.of("pumps.csv:\(number)")
            account.feature(id)
            account.score(id, score: 0.1, isAnomaly: false, arrival: now)
        }

        mutating func window(_ name: String, at now: Double, answered: Bool) {
            let id = IdentityHash.of(name)
            account.feature(id, set: 0, name: Array(name.utf8)[...], arrival: now)
            if answered { account.score(id, set: 0, score: 0.1, isAnomaly: false, arrival: now) }
        }

        mutating func look(at now: Double) {
            let oldest = account.oldestUnanswered()
            if let notice = watch.notice(events: account.counts[.events], unanswered: account.unsettled, oldest: oldest, now: now) {
                notices.append(notice)
            }
        }

        /// Looks once a second.
        mutating func pass(from start: Double, to end: Double) {
            for now in stride(from: start, through: end, by: 1_000) { look(at: now) }
        }
    }

    @Test("a source that is silent for a day is healthy; once it is said that nothing has come")
    func silent() {
        var scene = Scene()
        scene.pass(from: 0, to: 24 * Self.hour)
        #expect(scene.notices == ["No event has come yet; everything is ready for the first."])
        #expect(scene.account.unsettled == 0)
    }

    @Test("one event an hour is healthy")
    func slow() {
        var scene = Scene()
        for hour in 0..<24 {
            let now = Double(hour) * Self.hour
            let number = scene.event(at: now)
            scene.look(at: now)
            scene.answer(number, at: now + 20)
            scene.pass(from: now + Self.second, to: now + Self.hour - Self.second)
        }
        #expect(scene.notices.isEmpty)
    }

    @Test("bursts with pauses are healthy, also where a burst takes a while to be dealt with")
    func bursts() {
        var scene = Scene()
        for burst in 0..<10 {
            let now = Double(burst) * 600 * Self.second
            let numbers = (0..<200).map { scene.event(at: now + Double($0)) }
            for (index, number) in numbers.enumerated() {
                scene.answer(number, at: now + Double(index) * 100)
                scene.look(at: now + Double(index) * 100)
            }
            scene.pass(from: now + 20 * Self.second, to: now + 599 * Self.second)
        }
        #expect(scene.notices.isEmpty)
        #expect(scene.account.unsettled == 0)
    }

    @Test("windows of six hours are healthy: nothing is owed for an event before its window ends")
    func longWindows() {
        let length = 6 * Self.hour
        var scene = Scene(sets: [FlowSet("shift", isPerEvent: false)], longestDelay: length)
        for minute in 0..<(24 * 60) {
            let now = Double(minute) * 60 * Self.second
            _ = scene.event(at: now)
            if minute % 360 == 359 { scene.window("shift:\(minute)", at: now, answered: true) }
            scene.look(at: now)
        }
        #expect(scene.notices.isEmpty)
        #expect(scene.account.unsettled == 0)
        // A window's record that gets no score is another matter.
        scene.window("shift:late", at: 24 * Self.hour, answered: false)
        scene.look(at: 30 * Self.hour)
        #expect(scene.notices.isEmpty)
        scene.look(at: 30 * Self.hour + 31 * Self.second)
        #expect(scene.notices == ["shift:late has waited 21631 s for a score or a dead letter, and 1 wait in all; it goes on."])
    }

    @Test("a source that ended stays healthy for as long as somebody looks at what it left")
    func ended() {
        var scene = Scene()
        for number in 0..<300 {
            let event = scene.event(at: Double(number) * 2)
            scene.answer(event, at: Double(number) * 2 + 30)
        }
        scene.pass(from: Self.second, to: 12 * Self.hour)
        #expect(scene.notices.isEmpty)
    }

    @Test("an event without an answer is named once, with how long it has waited, though others are answered; and it is said when it is over")
    func stalled() {
        var scene = Scene()
        let lost = scene.event(at: 0)
        for now in stride(from: 1_000.0, through: 120_000, by: 1_000) {
            let number = scene.event(at: now)
            scene.answer(number, at: now)
            scene.look(at: now)
        }
        #expect(scene.notices == ["pumps.csv:1 has waited 31 s for a score or a dead letter, and 1 wait in all; it goes on."])
        scene.answer(lost, at: 121_000)
        scene.pass(from: 121_000, to: 200_000)
        #expect(scene.notices.count == 2)
        #expect(scene.notices.last == "All events that waited have their answers now.")
    }

    @Test("what is unanswered is overdue 30 s, the longest window and the lateness after the last event, not before")
    func overdue() {
        let watch = AnswerWatch(start: 0, longestDelay: 6 * 3_600_000 + 15_000)
        let limit = 30_000 + 6 * Self.hour + 15_000
        #expect(!watch.isOverdue(lastEvent: 5_000, now: 5_000 + limit))
        #expect(watch.isOverdue(lastEvent: 5_000, now: 5_001 + limit))
        #expect(!AnswerWatch(start: 0, longestDelay: 0).isOverdue(lastEvent: 100_000, now: 130_000))
    }

    @Test("the end of a run waits while there is progress, while answers may still come, and for a person only while there is progress")
    func drain() {
        var watch = DrainWatch(start: 0)
        func givesUp(_ owed: Int, isOverdue: Bool = false, isStopped: Bool = false, at now: Double) -> Bool {
            watch.givesUp(owed: owed, isOverdue: isOverdue, isStopped: isStopped, now: now)
        }
        let busy = [givesUp(10, isOverdue: true, at: 0), givesUp(9, isOverdue: true, at: 29_000), givesUp(9, isOverdue: true, at: 59_000)]
        #expect(busy == [false, false, false])
        let standing = givesUp(9, isOverdue: true, at: 59_001)
        #expect(standing)
        let (waiting, stopped) = (givesUp(9, at: 3_600_000), givesUp(9, isStopped: true, at: 3_600_000))
        #expect(!waiting)
        #expect(stopped)
    }

    @Test("the oldest is found among a great many that are answered, and what is answered takes no room")
    func oldest() {
        var pending = PendingAnswers()
        for number in 1...100_000 as ClosedRange<UInt64> { pending.append(number, name: Array("id-\(number)".utf8)[...], arrival: Double(number)) }
        var found = pending.oldest { $0 == 70_000 || $0 > 99_000 }
        #expect(found == UnansweredEvent(name: "id-70000", arrival: 70_000))
        #expect(pending.count == 30_001)
        found = pending.oldest { $0 > 99_000 }
        #expect(found == UnansweredEvent(name: "id-99001", arrival: 99_001))
        found = pending.oldest { _ in false }
        #expect(found == nil)
        #expect(pending.count == 0)
    }
}
