import Text

extension TimeZoneRules {
    /// Reads a zone from the bytes of a TZif file (`/usr/share/zoneinfo/<name>`), RFC 8536.
    ///
    /// Leap-second records are skipped: event time, as POSIX time, has none.
    public init(name: String, tzif bytes: [UInt8]) throws(TimeZoneError) {
        func fail(_ what: String) -> TimeZoneError { TimeZoneError(message: "The data of time zone `\(name)` \(what).") }
        guard bytes.count >= 44, bytes.starts(with: [0x54, 0x5A, 0x69, 0x66]) else { throw fail("is not a TZif file") }

        func integer(_ at: Int, _ width: Int) -> Int64 {
            var value: UInt64 = 0
            for i in at..<at + width { value = value << 8 | UInt64(bytes[i]) }
            return width == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
        }
        /// The six counts of the header at a position, none of them larger than the file.
        func counts(_ at: Int) throws(TimeZoneError) -> [Int] {
            guard at + 44 <= bytes.count else { throw fail("is cut off") }
            let all = (0..<6).map { Int(integer(at + 20 + 4 * $0, 4)) }
            guard all.allSatisfy({ $0 >= 0 && $0 <= bytes.count }) else { throw fail("has an impossible header") }
            return all
        }
        /// Length of a data block: isut, isstd, leap, time, type and char counts, with times of `width` bytes.
        func length(_ c: [Int], _ width: Int) -> Int { c[3] * (width + 1) + c[4] * 6 + c[5] + c[2] * (width + 4) + c[1] + c[0] }

        var header = 0
        var width = 4
        var c = try counts(0)
        let hasFooter = bytes[4] >= 0x32
        if hasFooter {
            header = 44 + length(c, 4)
            guard header + 44 <= bytes.count, bytes[header..<header + 4].elementsEqual([0x54, 0x5A, 0x69, 0x66]) else {
                throw fail("is cut off")
            }
            width = 8
            c = try counts(header)
        }
        let data = header + 44
        let afterData = data + length(c, width)
        guard afterData <= bytes.count, c[4] >= 1 else { throw fail("is cut off") }

        let typesOfTimes = data + c[3] * width
        let types = typesOfTimes + c[3]
        func offset(ofType type: Int) throws(TimeZoneError) -> Int64 {
            guard type < c[4] else { throw fail("names an offset that it does not have") }
            let seconds = integer(types + 6 * type, 4)
            guard abs(seconds) <= 26 * 3600 else { throw fail("has an impossible offset") }
            return seconds * 1000
        }
        var transitions: [Int64] = []
        var offsets = [try offset(ofType: 0)]
        // Times far outside of what an event may have (some files start at the Big Bang) are clamped, not multiplied.
        let farPast = CivilTime.earliest / 1000 - 1
        for i in 0..<c[3] {
            let seconds = integer(data + i * width, width)
            let offset = try offset(ofType: Int(bytes[typesOfTimes + i]))
            if seconds <= farPast {
                offsets[0] = offset
                transitions.removeAll()
                offsets.removeLast(offsets.count - 1)
                continue
            }
            guard seconds < CivilTime.end / 1000 else { break }
            guard transitions.last.map({ $0 < seconds * 1000 }) ?? true else { throw fail("has transitions out of order") }
            transitions.append(seconds * 1000)
            offsets.append(offset)
        }
        if hasFooter, afterData + 2 <= bytes.count, bytes[afterData] == 0x0A,
            let close = bytes[(afterData + 1)...].firstIndex(of: 0x0A), close > afterData + 1
        {
            guard let rule = PosixZoneRule(Array(bytes[(afterData + 1)..<close])) else {
                throw fail("ends with a rule that cannot be read")
            }
            rule.extend(&transitions, &offsets)
        }
        self.init(name: name, transitions: transitions, offsets: offsets)
    }
}

/// The rule at the end of a TZif file, such as `EST5EDT,M3.2.0,M11.1.0` (POSIX TZ with the extensions of RFC 8536).
struct PosixZoneRule {
    private enum Day { case month(Int, week: Int, weekday: Int), julian(Int), zeroBased(Int) }
    private struct Change { var day: Day; var seconds: Int64 }

    private var standard: Int64 = 0
    private var daylight: Int64?
    private var start = Change(day: .month(3, week: 2, weekday: 0), seconds: 7200)
    private var end = Change(day: .month(11, week: 1, weekday: 0), seconds: 7200)

    init?(_ text: [UInt8]) {
        var scan = DigitScan(text, 0..<text.count)
        guard Self.name(&scan), let west = Self.time(&scan, mostHours: 24) else { return nil }
        standard = -west
        guard !scan.atEnd else { return }
        guard Self.name(&scan) else { return nil }
        daylight = standard + 3600
        if let next = scan.next, next != 0x2C {
            guard let west = Self.time(&scan, mostHours: 24) else { return nil }
            daylight = -west
        }
        guard scan.take(0x2C), let first = Self.change(&scan), scan.take(0x2C), let second = Self.change(&scan), scan.atEnd else {
            return nil
        }
        (start, end) = (first, second)
    }

    /// Appends the transitions after the last one, up to the end of usable time; all in milliseconds.
    func extend(_ transitions: inout [Int64], _ offsets: inout [Int64]) {
        let last = transitions.last ?? CivilTime.earliest - 1
        guard let daylight else {
            if offsets[offsets.count - 1] != standard * 1000 {
                transitions.append(last + 1)
                offsets.append(standard * 1000)
            }
            return
        }
        let firstYear = CivilTime.date(ofDay: CivilTime.floorDiv(last, CivilTime.millisecondsPerDay)).year
        for year in firstYear...2201 {
            let changes = [(instant(start, year) - standard, daylight), (instant(end, year) - daylight, standard)]
            for (seconds, offset) in changes.sorted(by: { $0.0 < $1.0 }) where seconds * 1000 > transitions.last ?? last {
                if offsets[offsets.count - 1] == offset * 1000 { continue }
                transitions.append(seconds * 1000)
                offsets.append(offset * 1000)
            }
        }
    }

    /// Local seconds since the epoch at which a change happens in a year.
    private func instant(_ change: Change, _ year: Int) -> Int64 {
        let day: Int64
        switch change.day {
        case .julian(let n):
            // 29 February is never counted.
            day = CivilTime.days(year: year, month: 1, day: 1) + Int64(n - 1 + (CivilTime.isLeap(year) && n >= 60 ? 1 : 0))
        case .zeroBased(let n):
            day = CivilTime.days(year: year, month: 1, day: 1) + Int64(n)
        case .month(let month, let week, let weekday):
            let first = CivilTime.days(year: year, month: month, day: 1)
            let firstWeekday = (CivilTime.weekday(ofDay: first) + 1) % 7
            var dayOfMonth = 1 + (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
            while dayOfMonth > CivilTime.daysInMonth(year, month) { dayOfMonth -= 7 }
            day = first + Int64(dayOfMonth - 1)
        }
        return day * 86_400 + change.seconds
    }

    /// `EST` or `<+03>`; at least three characters.
    private static func name(_ scan: inout DigitScan) -> Bool {
        var length = 0
        if scan.take(0x3C) {
            while let byte = scan.next, byte != 0x3E {
                _ = scan.take(byte)
                length += 1
            }
            return scan.take(0x3E) && length >= 3
        }
        while let byte = scan.next, (0x41...0x5A).contains(byte & 0xDF) {
            _ = scan.take(byte)
            length += 1
        }
        return length >= 3
    }

    /// `[±]h[h[h]][:mm[:ss]]` in seconds.
    private static func time(_ scan: inout DigitScan, mostHours: Int) -> Int64? {
        let sign: Int64 = scan.take(0x2D) ? -1 : 1
        if sign == 1 { _ = scan.take(0x2B) }
        guard let hours = scan.digits(upTo: 3), hours <= mostHours else { return nil }
        var seconds = Int64(hours) * 3600
        if scan.take(0x3A) {
            guard let minutes = scan.digits(2), minutes < 60 else { return nil }
            seconds += Int64(minutes) * 60
            if scan.take(0x3A) {
                guard let rest = scan.digits(2), rest < 60 else { return nil }
                seconds += Int64(rest)
            }
        }
        return sign * seconds
    }

    private static func change(_ scan: inout DigitScan) -> Change? {
        var change = Change(day: .zeroBased(0), seconds: 7200)
        if scan.take(0x4D) {
            guard let month = scan.digits(upTo: 2), (1...12).contains(month), scan.take(0x2E), let week = scan.digits(upTo: 1),
                (1...5).contains(week), scan.take(0x2E), let weekday = scan.digits(upTo: 1), weekday <= 6
            else { return nil }
            change.day = .month(month, week: week, weekday: weekday)
        } else if scan.take(0x4A) {
            guard let n = scan.digits(upTo: 3), (1...365).contains(n) else { return nil }
            change.day = .julian(n)
        } else {
            guard let n = scan.digits(upTo: 3), n <= 365 else { return nil }
            change.day = .zeroBased(n)
        }
        if scan.take(0x2F) {
            guard let seconds = time(&scan, mostHours: 167) else { return nil }
            change.seconds = seconds
        }
        return change
    }
}
