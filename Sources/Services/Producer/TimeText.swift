import Features
import JSON

/// Decimal digits without a `String`.
enum Digits {
    static func append(_ value: Int64, to bytes: inout [UInt8]) { NumberText.append(value, to: &bytes) }

    /// At least `width` digits, zeros in front; for values that are not negative.
    static func append(_ value: Int64, width: Int, to bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }
}

/// Event times as the text of a column.
enum TimeText {
    static func canWrite(_ format: TimestampFormat) -> Bool {
        switch format {
        case .iso8601, .epochSeconds, .epochMilliseconds: true
        case .pattern: false
        }
    }

    /// Appends a time in milliseconds in the given format; a pattern, which `canWrite` refuses, is written as ISO 8601.
    static func append(_ milliseconds: Int64, _ format: TimestampFormat, to bytes: inout [UInt8]) {
        switch format {
        case .epochMilliseconds: Digits.append(milliseconds, to: &bytes)
        case .epochSeconds: NumberText.append(Double(milliseconds) / 1_000, to: &bytes)
        case .iso8601, .pattern: appendISO8601(milliseconds, to: &bytes)
        }
    }

    /// A blank and the offset from UTC, ` +01:00`, as a pattern reads it behind a local time.
    static func appendOffset(_ milliseconds: Int64, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: milliseconds < 0 ? " -".utf8 : " +".utf8)
        let minutes = abs(milliseconds) / 60_000
        Digits.append(minutes / 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Digits.append(minutes % 60, width: 2, to: &bytes)
    }

    /// `2019-01-31T05:00:50.250Z`, and `2019-01-31T05:00:50Z` for a whole second, without allocation. The date is Howard Hinnant's `civil_from_days` ("chrono-compatible low-level date
    /// algorithms", 2013): years that begin in March, in eras of 400 years.
    static func appendISO8601(_ milliseconds: Int64, to bytes: inout [UInt8]) {
        let millisecondsPerDay: Int64 = 86_400_000
        var days = milliseconds / millisecondsPerDay
        var rest = milliseconds % millisecondsPerDay
        if rest < 0 {
            rest += millisecondsPerDay
            days -= 1
        }
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        Digits.append(year, width: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Digits.append(month, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Digits.append(day, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Digits.append(rest / 3_600_000, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Digits.append(rest / 60_000 % 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Digits.append(rest / 1_000 % 60, width: 2, to: &bytes)
        if rest % 1_000 != 0 {
            bytes.append(UInt8(ascii: "."))
            Digits.append(rest % 1_000, width: 3, to: &bytes)
        }
        bytes.append(UInt8(ascii: "Z"))
    }
}
