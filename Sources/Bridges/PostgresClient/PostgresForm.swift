import JSON

/// How a column's text becomes a value of an event, by its type: the one place for all conversions.
///
/// | types | becomes |
/// |---|---|
/// | `boolean` | `true` or `false` |
/// | integers, `numeric`, `real`, `double precision` | as it is; `NaN` and `Infinity` are for the schema to refuse |
/// | `money` | its number |
/// | `timestamp`, `timestamptz` | ISO 8601, with `Z` where there is a zone |
/// | `interval` | seconds, a month as 30 days, a year as 365.25, as `EXTRACT(EPOCH …)` has it |
/// | `char(n)` | without the blanks that fill it |
/// | `json`, `jsonb` | a text without its quotes, `null` as missing, anything else as it is |
/// | arrays of numbers, booleans and texts | a JSON list |
/// | `date`, `time`, `text`, `uuid`, enumerations, domains' base types, and all others | as PostgreSQL writes it |
enum PostgresForm: Equatable {
    case text, boolean, money, localTime, zonedTime, interval, padded, json
    case list(ofTexts: Bool)

    /// - Parameter type: an OID of `pg_type.dat`.
    init(type: UInt32) { self = Self.table[type] ?? .text }

    private static let table: [UInt32: PostgresForm] = [
        16: .boolean, 114: .json, 790: .money, 1042: .padded, 1114: .localTime, 1184: .zonedTime, 1186: .interval, 3802: .json,
        // bool, int2, int4, int8, float4, float8, numeric
        1000: .list(ofTexts: false), 1005: .list(ofTexts: false), 1007: .list(ofTexts: false), 1016: .list(ofTexts: false),
        1021: .list(ofTexts: false), 1022: .list(ofTexts: false), 1231: .list(ofTexts: false),
        // text, char(n), varchar, timestamp, date, timestamptz, uuid
        1009: .list(ofTexts: true), 1014: .list(ofTexts: true), 1015: .list(ofTexts: true), 1115: .list(ofTexts: true), 1182: .list(ofTexts: true),
        1185: .list(ofTexts: true), 2951: .list(ofTexts: true),
    ]

    /// Replaces what stands from `start` on.
    func convert(_ bytes: inout [UInt8], from start: Int) {
        switch self {
        case .text: break
        case .boolean: Self.replace(&bytes, start, bytes[start] == UInt8(ascii: "t") ? "true" : "false")
        case .money: bytes = bytes[..<start] + bytes[start...].filter { $0 != UInt8(ascii: "$") && $0 != UInt8(ascii: ",") }
        case .localTime, .zonedTime: Self.time(&bytes, start, isZoned: self == .zonedTime)
        case .interval: if let seconds = Self.seconds(bytes[start...]) { Self.replace(&bytes, start, seconds) }
        case .padded: while bytes.count > start, bytes.last == UInt8(ascii: " ") { bytes.removeLast() }
        case .json: Self.json(&bytes, start)
        case .list(let ofTexts): Self.list(&bytes, start, ofTexts: ofTexts)
        }
    }

    private static func replace(_ bytes: inout [UInt8], _ start: Int, _ text: String) {
        bytes.removeLast(bytes.count - start)
        bytes.append(contentsOf: text.utf8)
    }

    /// `2025-10-01 10:30:00.5+00` as `2025-10-01T10:30:00.5Z`; one without a zone gets none. `infinity` and years before Christ stay for the schema to refuse.
    private static func time(_ bytes: inout [UInt8], _ start: Int, isZoned: Bool) {
        guard bytes.count > start + 10, bytes[start + 10] == UInt8(ascii: " ") else { return }
        bytes[start + 10] = UInt8(ascii: "T")
        guard isZoned, bytes.suffix(3).elementsEqual("+00".utf8) else { return }
        bytes.removeLast(3)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// `P1Y2M-3DT4H5M6.5S` (ISO 8601, as `intervalstyle` asks for) as decimal seconds; nil for what is none.
    static func seconds(_ text: ArraySlice<UInt8>) -> String? {
        guard text.first == UInt8(ascii: "P") else { return nil }
        var microseconds: Int64 = 0
        var number: [UInt8] = []
        var isTime = false
        for byte in text.dropFirst() {
            let unit: Int64
            switch byte {
            case UInt8(ascii: "T"):
                isTime = true
                continue
            case UInt8(ascii: "Y"): unit = 31_557_600
            case UInt8(ascii: "M"): unit = isTime ? 60 : 2_592_000
            case UInt8(ascii: "W"): unit = 604_800
            case UInt8(ascii: "D"): unit = 86_400
            case UInt8(ascii: "H"): unit = 3_600
            case UInt8(ascii: "S"): unit = 1
            default:
                number.append(byte)
                continue
            }
            guard let value = Self.microunits(number) else { return nil }
            let (part, isTooLarge) = value.multipliedReportingOverflow(by: unit)
            let (sum, isSumTooLarge) = microseconds.addingReportingOverflow(part)
            guard !isTooLarge, !isSumTooLarge else { return nil }
            microseconds = sum
            number.removeAll()
        }
        let (whole, part) = microseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        var result = (microseconds < 0 ? "-" : "") + "\(whole)"
        if part > 0 {
            var digits = String(repeating: "0", count: 6 - "\(part)".count) + "\(part)"
            while digits.hasSuffix("0") { digits.removeLast() }
            result += "." + digits
        }
        return result
    }

    /// A decimal number times 10⁶.
    private static func microunits(_ text: [UInt8]) -> Int64? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = Int64(String(decoding: parts[0], as: UTF8.self)), whole.magnitude < 1_000_000_000 else {
            return nil
        }
        let digits = parts.count == 2 ? String(decoding: parts[1].prefix(6), as: UTF8.self) : ""
        guard let fraction = Int64(digits + String(repeating: "0", count: 6 - digits.utf8.count)) else { return nil }
        return whole * 1_000_000 + (text.first == UInt8(ascii: "-") ? -fraction : fraction)
    }

    private static func json(_ bytes: inout [UInt8], _ start: Int) {
        if bytes[start...].elementsEqual("null".utf8) { return replace(&bytes, start, "") }
        guard bytes[start] == UInt8(ascii: "\""), case .string(let text)? = try? JSONValue.parse(Array(bytes[start...])) else { return }
        replace(&bytes, start, text)
    }

    /// `{1,NULL,"a \"b\"",{2}}` as a JSON list (manual, "Array Input and Output Syntax"). Bounds in front, `[2:3]={…}`, are left out.
    private static func list(_ bytes: inout [UInt8], _ start: Int, ofTexts: Bool) {
        let source = Array(bytes[start...].drop { $0 != UInt8(ascii: "{") })
        guard !source.isEmpty else { return }
        var result: [UInt8] = []
        var index = 0
        while index < source.count {
            let byte = source[index]
            switch byte {
            case UInt8(ascii: "{"): result.append(UInt8(ascii: "["))
            case UInt8(ascii: "}"): result.append(UInt8(ascii: "]"))
            case UInt8(ascii: ","): result.append(byte)
            case UInt8(ascii: "\""):
                var element: [UInt8] = []
                index += 1
                while index < source.count, source[index] != UInt8(ascii: "\"") {
                    if source[index] == UInt8(ascii: "\\") { index += 1 }
                    if index < source.count { element.append(source[index]) }
                    index += 1
                }
                appendText(element, to: &result)
            default:
                let end = source[index...].firstIndex { [UInt8(ascii: ","), UInt8(ascii: "}")].contains($0) } ?? source.count
                let element = source[index..<end]
                index = end - 1
                if element.elementsEqual("NULL".utf8) {
                    result.append(contentsOf: "null".utf8)
                } else if ofTexts {
                    appendText(Array(element), to: &result)
                } else if element.elementsEqual("t".utf8) || element.elementsEqual("f".utf8) {
                    result.append(contentsOf: (element.first == UInt8(ascii: "t") ? "true" : "false").utf8)
                } else {
                    let isNumber = element.allSatisfy { $0 &- UInt8(ascii: "0") < 10 || "+-.eE".utf8.contains($0) }
                    if isNumber { result.append(contentsOf: element) } else { appendText(Array(element), to: &result) }
                }
            }
            index += 1
        }
        bytes.removeLast(bytes.count - start)
        bytes.append(contentsOf: result)
    }

    private static func appendText(_ text: [UInt8], to bytes: inout [UInt8]) {
        var writer = JSONWriter(capacity: text.count + 2)
        writer.value(utf8: text, 0..<text.count)
        bytes.append(contentsOf: writer.bytes)
    }
}
