/// Timestamps in the extended format of ISO 8601 (RFC 3339 with a few allowances), read from and written as bytes.
///
/// Accepted: `2026-11-21`, `2026-11-21T10:17`, `2026-11-21 10:17:05`, `2026-11-21T10:17:05.123456Z`, `…+02:00`, `…+0200`,
/// `…-03`. The separator is `T`, `t` or one space; without a zone the time is UTC; a fraction may have any number of
/// digits and is cut to milliseconds. Everything else is refused: no leap second, no 24:00, no surrounding space.
public enum ISO8601 {
    /// Milliseconds since the epoch, or nil when the whole range is not such a timestamp or its year is not in 1900...2200.
    ///
    /// Cost: about 20 ns; no allocation.
    public static func parse(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return nil }
        var scan = DigitScan(bytes, range)
        guard let year = scan.digits(4), scan.take(0x2D), let month = scan.digits(2), scan.take(0x2D), let day = scan.digits(2),
            (1...12).contains(month), day >= 1, day <= CivilTime.daysInMonth(year, month)
        else { return nil }
        var time = CivilTime.days(year: year, month: month, day: day) * CivilTime.millisecondsPerDay
        if !scan.atEnd {
            guard scan.take(0x54) || scan.take(0x20) || scan.take(0x74), let clock = scan.clock() else { return nil }
            time += clock
            if !scan.atEnd {
                guard let offset = scan.zone(), scan.atEnd else { return nil }
                time -= offset
            }
        }
        return CivilTime.isUsable(time) ? time : nil
    }

    /// Milliseconds since the epoch, or nil when the text is not such a timestamp.
    public static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        return parse(bytes, 0..<bytes.count)
    }

    /// `2026-11-21T10:17:00.000Z`. For messages and reports; allocates.
    public static func format(_ milliseconds: Int64) -> String {
        let day = CivilTime.floorDiv(milliseconds, CivilTime.millisecondsPerDay)
        let inDay = Int(milliseconds - day * CivilTime.millisecondsPerDay)
        let (year, month, dayOfMonth) = CivilTime.date(ofDay: day)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))"
        let clock = "\(padded(inDay / 3_600_000, 2)):\(padded(inDay / 60_000 % 60, 2)):\(padded(inDay / 1000 % 60, 2))"
        return "\(date)T\(clock).\(padded(inDay % 1000, 3))Z"
    }
}

/// A cursor over bytes that takes fixed-width numbers; it never reads outside of its range.
struct DigitScan {
    private let bytes: [UInt8]
    private(set) var position: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    var atEnd: Bool { position >= end }
    var next: UInt8? { position < end ? bytes[position] : nil }

    mutating func take(_ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Takes one of two spellings of a byte, such as an upper and a lower case letter.
    mutating func take(letter upper: UInt8) -> Bool { take(upper) || take(upper | 0x20) }

    /// Exactly `count` decimal digits.
    mutating func digits(_ count: Int) -> Int? {
        guard position + count <= end else { return nil }
        var value = 0
        for i in position..<position + count {
            let digit = bytes[i] &- 0x30
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        position += count
        return value
    }

    /// Between one and `most` decimal digits.
    mutating func digits(upTo most: Int) -> Int? {
        var value = 0
        var count = 0
        while count < most, position < end, bytes[position] &- 0x30 < 10 {
            value = value * 10 + Int(bytes[position] &- 0x30)
            position += 1
            count += 1
        }
        return count == 0 ? nil : value
    }

    /// The digits of a fraction of a second, cut to milliseconds; at least one digit.
    mutating func milliseconds() -> Int? {
        var value = 0
        var count = 0
        while position < end, bytes[position] &- 0x30 < 10 {
            if count < 3 { value = value * 10 + Int(bytes[position] &- 0x30) }
            position += 1
            count += 1
        }
        guard count > 0 else { return nil }
        return count == 1 ? value * 100 : count == 2 ? value * 10 : value
    }

    /// `hh:mm[:ss[.fraction]]` as milliseconds.
    mutating func clock() -> Int64? {
        guard let hour = digits(2), hour < 24, take(0x3A), let minute = digits(2), minute < 60 else { return nil }
        var value = Int64(hour) * 3_600_000 + Int64(minute) * 60_000
        if take(0x3A) {
            guard let second = digits(2), second < 60 else { return nil }
            value += Int64(second) * 1000
            if take(0x2E) || take(0x2C) {
                guard let fraction = milliseconds() else { return nil }
                value += Int64(fraction)
            }
        }
        return value
    }

    /// `Z`, `±hh`, `±hhmm` or `±hh:mm` as milliseconds east of UTC.
    mutating func zone() -> Int64? {
        if take(letter: 0x5A) { return 0 }
        let sign: Int64
        if take(0x2B) { sign = 1 } else if take(0x2D) { sign = -1 } else { return nil }
        guard let hour = digits(2), hour < 24 else { return nil }
        var minute = 0
        if take(0x3A) {
            guard let value = digits(2) else { return nil }
            minute = value
        } else if let next, next &- 0x30 < 10 {
            guard let value = digits(2) else { return nil }
            minute = value
        }
        guard minute < 60 else { return nil }
        return sign * (Int64(hour) * 3_600_000 + Int64(minute) * 60_000)
    }
}
