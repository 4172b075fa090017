/// Days, years and clock times in the proleptic Gregorian calendar, without a library and without allocation.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
enum CivilTime {
    static let millisecondsPerDay: Int64 = 86_400_000

    /// First instant that counts as a usable event time: 1900-01-01T00:00:00Z.
    static let earliest: Int64 = days(year: 1900, month: 1, day: 1) * millisecondsPerDay
    /// First instant that no longer does: 2201-01-01T00:00:00Z.
    static let end: Int64 = days(year: 2201, month: 1, day: 1) * millisecondsPerDay

    /// Whether a time in milliseconds lies in the years 1900 to 2200.
    @inline(__always)
    static func isUsable(_ milliseconds: Int64) -> Bool { milliseconds >= earliest && milliseconds < end }

    /// Days since 1970-01-01; negative before it.
    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    /// The date of a day number.
    static func date(ofDay day: Int64) -> (year: Int, month: Int, day: Int) {
        let z = Int(day) + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let mp = (5 * dayOfYear + 2) / 153
        let month = mp < 10 ? mp + 3 : mp - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * mp + 2) / 5 + 1)
    }

    static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    static func daysInMonth(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// 0 for Monday to 6 for Sunday.
    static func weekday(ofDay day: Int64) -> Int { Int(floorMod(day + 3, 7)) }

    @inline(__always)
    static func floorDiv(_ a: Int64, _ b: Int64) -> Int64 {
        let q = a / b
        return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q
    }

    @inline(__always)
    static func floorMod(_ a: Int64, _ b: Int64) -> Int64 {
        let r = a % b
        return r != 0 && (r < 0) != (b < 0) ? r + b : r
    }
}
