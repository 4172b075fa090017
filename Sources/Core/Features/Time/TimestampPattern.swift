import Text

/// A timestamp format in the style of `strptime`, checked and compiled once: `%d/%b/%Y:%H:%M:%S %z`.
///
/// Conversions: `%Y` four-digit year, `%y` two digits (69…99 are 1969…1999), `%m` month, `%b` English month name of three letters,
/// `%d` or `%e` day (`%e` may be padded with a space), `%j` day of the year, `%H` hour 00–23, `%I` hour 01–12 with `%p` AM or PM,
/// `%M` minute, `%S` second, `%f` fraction of a second (any number of digits), `%z` offset (`Z`, `+hh`, `+hhmm`, `+hh:mm`), `%s` epoch
/// seconds, `%%` a percent sign. Any other character must stand in the text as it is. The date must be complete; a time of day that is
/// not in the pattern is midnight. A local time may carry its offset behind a blank, as `%z` would read it, also where the pattern has none.
public struct TimestampPattern: Sendable, Equatable {
    enum Item: Equatable { case literal(UInt8), conversion(UInt8) }

    /// As it was written.
    public let text: String
    let items: [Item]

    /// Whether a text of this form is a local time, which only a zone makes an instant.
    public var isLocal: Bool { !items.contains(.conversion(0x7A)) && !items.contains(.conversion(0x73)) }

    /// Throws when the text names an unknown conversion or does not determine a date.
    public init(_ text: String) throws(SchemaError) {
        var items: [Item] = []
        var seen: Set<UInt8> = []
        var bytes = text.utf8.makeIterator()
        func fail(_ message: String) -> SchemaError { SchemaError(field: nil, key: "pattern", message: message) }
        while let byte = bytes.next() {
            guard byte == 0x25 else {
                items.append(.literal(byte))
                continue
            }
            guard let letter = bytes.next() else { throw fail("The pattern `\(text)` ends in a single `%`.") }
            if letter == 0x25 {
                items.append(.literal(letter))
                continue
            }
            guard "YymbdejHIMSfpzs".utf8.contains(letter) else {
                let name = String(decoding: [letter], as: UTF8.self)
                throw fail(
                    "The pattern `\(text)` has the unknown conversion `%\(name)`; known are %Y %y %m %b %d %e %j %H %I %M %S %f %p %z %s.")
            }
            guard seen.insert(letter).inserted else {
                throw fail("The pattern `\(text)` has `%\(String(decoding: [letter], as: UTF8.self))` twice.")
            }
            items.append(.conversion(letter))
        }
        func has(_ letters: String) -> Bool { letters.utf8.contains { seen.contains($0) } }
        guard has("s") || (has("Yy") && (has("j") || (has("mb") && has("de")))) else {
            throw fail("The pattern `\(text)` does not determine a date: it needs a year, a month and a day, or `%s`.")
        }
        guard !has("I") || has("p") else { throw fail("The pattern `\(text)` has `%I` without `%p`.") }
        self.text = text
        self.items = items
    }

    /// Milliseconds since the epoch, or nil when the whole range does not match, the date does not exist, or the local time is skipped by
    /// its zone. No allocation beyond the zone's look-up.
    func parse(_ bytes: [UInt8], _ range: Range<Int>, zone: TimeZoneRules) -> Int64? {
        var scan = DigitScan(bytes, range)
        var year = 1970
        var month = 1
        var day = 1
        var dayOfYear: Int?
        var hour = 0
        var isAfternoon: Bool?
        var minute = 0
        var second = 0
        var fraction = 0
        var offset: Int64?
        var epoch: Int64?
        for item in items {
            guard case .conversion(let letter) = item else {
                guard case .literal(let byte) = item, scan.take(byte) else { return nil }
                continue
            }
            switch letter {
            case 0x59:  // Y
                guard let v = scan.digits(4) else { return nil }
                year = v
            case 0x79:  // y
                guard let v = scan.digits(2) else { return nil }
                year = v >= 69 ? 1900 + v : 2000 + v
            case 0x6D:  // m
                guard let v = scan.digits(upTo: 2), (1...12).contains(v) else { return nil }
                month = v
            case 0x62:  // b
                guard let v = Self.month(&scan) else { return nil }
                month = v
            case 0x64, 0x65:  // d e
                if letter == 0x65 { _ = scan.take(0x20) }
                guard let v = scan.digits(upTo: 2), v >= 1 else { return nil }
                day = v
            case 0x6A:  // j
                guard let v = scan.digits(3), v >= 1 else { return nil }
                dayOfYear = v
            case 0x48:  // H
                guard let v = scan.digits(upTo: 2), v < 24 else { return nil }
                hour = v
            case 0x49:  // I
                guard let v = scan.digits(upTo: 2), (1...12).contains(v) else { return nil }
                hour = v % 12
            case 0x70:  // p
                if scan.take(letter: 0x50) {
                    isAfternoon = true
                } else if scan.take(letter: 0x41) {
                    isAfternoon = false
                } else {
                    return nil
                }
                guard scan.take(letter: 0x4D) else { return nil }
            case 0x4D:  // M
                guard let v = scan.digits(2), v < 60 else { return nil }
                minute = v
            case 0x53:  // S
                guard let v = scan.digits(2), v < 60 else { return nil }
                second = v
            case 0x66:  // f
                guard let v = scan.milliseconds() else { return nil }
                fraction = v
            case 0x7A:  // z
                guard let v = scan.zone() else { return nil }
                offset = v
            default:  // s
                let isNegative = scan.take(0x2D)
                guard let v = scan.digits(upTo: 12) else { return nil }
                epoch = Int64(isNegative ? -v : v)
            }
        }
        // What a source that knows better than the zone writes behind a local time of the hour that the end of summer time repeats.
        if offset == nil, epoch == nil, scan.take(0x20) {
            guard let v = scan.zone() else { return nil }
            offset = v
        }
        guard scan.atEnd else { return nil }
        if let epoch {
            let time = epoch * 1000 + Int64(fraction)
            return CivilTime.isUsable(time) ? time : nil
        }
        var days = CivilTime.days(year: year, month: 1, day: 1)
        if let dayOfYear {
            guard dayOfYear <= (CivilTime.isLeap(year) ? 366 : 365) else { return nil }
            days += Int64(dayOfYear - 1)
        } else {
            guard day <= CivilTime.daysInMonth(year, month) else { return nil }
            days = CivilTime.days(year: year, month: month, day: day)
        }
        if let isAfternoon, isAfternoon, hour < 12 { hour += 12 }
        let clock = Int64(hour) * 3_600_000 + Int64(minute) * 60_000 + Int64(second) * 1000 + Int64(fraction)
        let local = days * CivilTime.millisecondsPerDay + clock
        guard let time = offset.map({ local - $0 }) ?? zone.instant(ofLocal: local) else { return nil }
        return CivilTime.isUsable(time) ? time : nil
    }

    private static let months: [[UInt8]] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ].map { Array($0.utf8) }

    private static func month(_ scan: inout DigitScan) -> Int? {
        for (index, name) in months.enumerated() {
            var attempt = scan
            if name.allSatisfy({ attempt.take(letter: $0 & 0xDF) }) {
                scan = attempt
                return index + 1
            }
        }
        return nil
    }
}
