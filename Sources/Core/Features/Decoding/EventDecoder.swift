import Contracts
import JSON
import Text

/// Checks one event after another against a schema and lays it out as a flat row of numbers.
///
/// The same checks and the same row whether the event is JSON or a row of a CSV file, so a model trained on a file sees what the
/// stream will bring. Every wrong field is reported, not only the first. One thread's own; buffers are reused and nothing is allocated
/// for a good event once they are warm.
///
/// The row holds one number per field of the schema, in its order: numbers and integers as they are (negative zero as zero), booleans as
/// 0 or 1, timestamps as milliseconds since 1970, strings as a 52-bit hash of their bytes, a missing value as NaN.
public final class EventDecoder {
    public let schema: EventSchema

    // One thread, and no code of the caller's runs inside a decoding, so access is not checked.

    /// After a good event: one value per field.
    @exclusivity(unchecked) public private(set) var row: [Double]
    /// After a good event: the bytes of the entity, UTF-8; an integer in decimal.
    @exclusivity(unchecked) public private(set) var entity: [UInt8] = []
    /// After a good event: milliseconds since the epoch.
    @exclusivity(unchecked) public private(set) var eventTime: Int64 = 0
    /// After a bad event: everything that is wrong with it, in the order of the schema.
    @exclusivity(unchecked) public internal(set) var errors: [FieldError] = []

    /// Longest entity in bytes.
    public static let maximumEntityBytes = 256

    let rules: [FieldRule]
    /// Per field its allowed values as row values, ascending.
    private let values: [[Double]]
    private let entityIndex: Int
    private let timeIndex: Int
    private let rejectsUnknown: Bool
    let json: JSONFields
    private let maximumBytes: Int

    /// - Parameter maximumBytes: a larger event is refused as too large.
    public init(schema: EventSchema, maximumBytes: Int = 1 << 20) {
        self.schema = schema
        self.maximumBytes = maximumBytes
        entityIndex = schema.entityIndex
        timeIndex = schema.timeIndex
        rejectsUnknown = schema.unknownFields == .reject
        rules = schema.fields.map(FieldRule.init)
        values = schema.fields.map { $0.values.map(FieldRule.number).sorted() }
        row = Array(repeating: .nan, count: schema.fields.count)
        entity.reserveCapacity(Self.maximumEntityBytes)
        do {
            json = try JSONFields(paths: schema.fields.map(\.path), maximumBytes: maximumBytes)
        } catch {
            preconditionFailure("EventSchema.init let a path pass that JSONFields refuses: \(error)")
        }
    }

    // MARK: JSON

    /// Decodes one JSON event in a range of bytes, which may hold a whole batch. True when it is good.
    ///
    /// 64 readable bytes after the range save a copy.
    public func decode(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        if !errors.isEmpty { errors.removeAll(keepingCapacity: true) }
        guard isSizeUsable(range.count) else { return false }
        return finish(json.read(bytes, range))
    }

    /// Decodes one JSON event.
    public func decode(_ bytes: [UInt8]) -> Bool { decode(bytes, 0..<bytes.count) }

    /// Opens one object or an array of objects, whose elements `next` decodes. False (with `errors`) when it is neither.
    public func open(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        if !errors.isEmpty { errors.removeAll(keepingCapacity: true) }
        guard isSizeUsable(range.count) else { return false }
        let result = json.open(bytes, range)
        if case .ok = result { return true }
        return refuse(result)
    }

    /// Whether the opened document is an array.
    public var isArray: Bool { json.isArray }
    /// How many events the opened document holds.
    public var elementCount: Int { json.elementCount }

    /// Decodes the next element of the opened document: true when it is good, nil at the end.
    public func next() -> Bool? {
        if !errors.isEmpty { errors.removeAll(keepingCapacity: true) }
        guard let result = json.next() else { return nil }
        return finish(result)
    }

    private func isSizeUsable(_ count: Int) -> Bool {
        if count == 0 {
            report("", .empty, "The event is empty.")
            return false
        }
        if count > maximumBytes {
            report("", .tooLarge, "The event has \(count) bytes; at most \(maximumBytes) are allowed.")
            return false
        }
        return true
    }

    private func refuse(_ result: JSONReadResult) -> Bool {
        switch result {
        case .ok:
            break
        case .malformed(let reason):
            report("", .malformed, "The event is not well-formed JSON: \(reason)")
        case .notAnObject:
            report("", .notAnObject, "The event is JSON but not an object.")
        case .repeatedField(let slot):
            let field = schema.fields.indices.contains(slot) ? schema.fields[slot].path : ""
            report(field, .repeatedField, "The field `\(field)` stands more than once in the event.")
        }
        return false
    }

    private func finish(_ result: JSONReadResult) -> Bool {
        guard case .ok = result else { return refuse(result) }
        let slots = json.slots
        let text = json.text
        // One access to each property for all fields: a checked access costs as much as reading a field.
        row.withUnsafeMutableBufferPointer { row in
            slots.withUnsafeBufferPointer { slots in
                rules.withUnsafeBufferPointer { rules in
                    for index in rules.indices { row[index] = read(slots[index], text, rules[index], index) }
                }
            }
        }
        if json.hasUnknown, rejectsUnknown { reportUnknown() }
        return errors.isEmpty && takeEntity(slots[entityIndex], text)
    }

    @inline(__always)
    private func read(_ slot: JSONSlot, _ text: [UInt8], _ rule: FieldRule, _ index: Int) -> Double {
        var value = Double.nan
        switch slot.kind {
        case .missing, .null:
            value = rule.defaultValue
            if rule.isRequired { reportMissing(index, isNull: slot.kind == .null) }
        case .integer, .number:
            switch rule.type {
            case .number:
                value = slot.number + 0
                if !rule.bounds.contains(value) || (rule.hasValues && !isListed(value, index)) { reportNumber(value, index) }
            case .integer:
                value = slot.number + 0
                if value != value.rounded() || !rule.bounds.contains(value) || (rule.hasValues && !isListed(value, index)) {
                    reportNumber(value, index)
                }
            case .timestamp:
                value = epoch(slot.number, rule, index)
            case .string, .boolean:
                reportType(index, "a number")
            }
        case .string:
            switch rule.type {
            case .string:
                value = TextHash.number(TextHash.hash(text, slot.text))
                if (rule.hasValues && !isListed(value, index)) { reportText(text, slot.text, index) }
            case .timestamp:
                value = time(text, slot.text, rule, index)
            case .number, .integer, .boolean:
                reportType(index, "the text \(Self.excerpt(text, slot.text))")
            }
        case .bool:
            if rule.type == .boolean {
                value = slot.number
                if (rule.hasValues && !isListed(value, index)) { reportText(Array((value == 1 ? "true" : "false").utf8), nil, index) }
            } else {
                reportType(index, "a boolean")
            }
        case .container:
            reportType(index, "an object or an array")
        }
        return value
    }

    private func isListed(_ value: Double, _ index: Int) -> Bool {
        let values = values[index]
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < values.count && values[low] == value
    }

    private func takeEntity(_ slot: JSONSlot, _ text: [UInt8]) -> Bool {
        eventTime = Int64(row[timeIndex])
        entity.removeAll(keepingCapacity: true)
        if slot.kind == .string {
            entity.append(contentsOf: text[slot.text])
        } else {
            appendInteger(row[entityIndex])
        }
        return checkEntity()
    }

    // MARK: CSV

    /// Decodes one row of a CSV file, given as ranges of a buffer; an empty field is a missing value. True when it is good.
    public func decode(columns bytes: [UInt8], _ fields: [Range<Int>], _ binding: ColumnBinding) -> Bool {
        if !errors.isEmpty { errors.removeAll(keepingCapacity: true) }
        guard fields.count == binding.columnCount else {
            report("", .columnCount, "The row has \(fields.count) columns; the header has \(binding.columnCount).")
            return false
        }
        var entityRange = 0..<0
        for index in rules.indices {
            let column = binding.columns[index]
            let range = column < 0 ? 0..<0 : fields[column]
            if index == entityIndex { entityRange = range }
            row[index] = read(bytes, range, rules[index], index)
        }
        guard errors.isEmpty else { return false }
        eventTime = Int64(row[timeIndex])
        entity.removeAll(keepingCapacity: true)
        if schema.fields[entityIndex].type == .string {
            entity.append(contentsOf: bytes[entityRange])
        } else {
            appendInteger(row[entityIndex])
        }
        return checkEntity()
    }

    private func read(_ bytes: [UInt8], _ range: Range<Int>, _ rule: FieldRule, _ index: Int) -> Double {
        var value = Double.nan
        if range.isEmpty {
            value = rule.defaultValue
            if rule.isRequired { reportMissing(index, isNull: false) }
        } else {
            switch rule.type {
            case .number, .integer:
                if let number = TextNumber.parse(bytes, range) {
                    value = number + 0
                    let isWhole = rule.type == .number || value == value.rounded()
                    if !isWhole || !rule.bounds.contains(value) || (rule.hasValues && !isListed(value, index)) {
                        reportNumber(value, index)
                    }
                } else if Self.isNotANumber(bytes, range) {
                    let text = Self.excerpt(bytes, range)
                    report(schema.fields[index].name, .notANumber, "`\(schema.fields[index].name)` is \(text), which is no finite number.")
                } else {
                    reportType(index, "the text \(Self.excerpt(bytes, range))")
                }
            case .boolean:
                if let truth = Self.boolean(bytes, range) {
                    value = truth ? 1 : 0
                    if (rule.hasValues && !isListed(value, index)) { reportText(bytes, range, index) }
                } else {
                    reportType(index, "the text \(Self.excerpt(bytes, range))")
                }
            case .string:
                if isUTF8(bytes, range) {
                    value = TextHash.number(TextHash.hash(bytes, range))
                    if (rule.hasValues && !isListed(value, index)) { reportText(bytes, range, index) }
                } else {
                    report(schema.fields[index].name, .malformed, "`\(schema.fields[index].name)` is not UTF-8.")
                }
            case .timestamp:
                switch rule.clock {
                case .seconds, .milliseconds:
                    if let number = TextNumber.parse(bytes, range) {
                        value = epoch(number, rule, index)
                    } else {
                        reportTime(Self.excerpt(bytes, range), index)
                    }
                case .iso8601, .pattern:
                    value = time(bytes, range, rule, index)
                }
            }
        }
        return value
    }

    /// `true` and `false` in any case, `1` and `0`.
    static func boolean(_ bytes: [UInt8], _ range: Range<Int>) -> Bool? {
        func matches(_ word: StaticString) -> Bool {
            word.withUTF8Buffer { word in
                word.count == range.count && zip(word, bytes[range]).allSatisfy { $0 == $1 | 0x20 }
            }
        }
        if range.count == 1 {
            let byte = bytes[range.lowerBound]
            return byte == 0x31 ? true : byte == 0x30 ? false : nil
        }
        return matches("true") ? true : matches("false") ? false : nil
    }

    private static func isNotANumber(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard range.count <= 9 else { return false }
        let text = String(decoding: bytes[range], as: UTF8.self).lowercased()
        return ["nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"].contains(text)
            || Double(text)?.isInfinite == true
    }

    private func isUTF8(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        // Almost always plain ASCII; only other text is worth the look through the standard library.
        bytes[range].allSatisfy { $0 < 0x80 } || String(validating: bytes[range], as: UTF8.self) != nil
    }

    // MARK: Time and entity

    @inline(__always)
    private func epoch(_ number: Double, _ rule: FieldRule, _ index: Int) -> Double {
        guard rule.clock == .seconds || rule.clock == .milliseconds else {
            reportType(index, "a number")
            return .nan
        }
        let time = rule.epoch(number)
        if time.isNaN { reportTime(plain(number), index, rule.likelyUnit(number)) }
        return time
    }

    private func time(_ bytes: [UInt8], _ range: Range<Int>, _ rule: FieldRule, _ index: Int) -> Double {
        var time: Int64?
        switch rule.clock {
        case .iso8601:
            time = ISO8601.parse(bytes, range)
        case .pattern:
            if case .pattern(let pattern, let zone) = schema.fields[index].format { time = pattern.parse(bytes, range, zone: zone) }
        case .seconds, .milliseconds:
            reportType(index, "the text \(Self.excerpt(bytes, range))")
            return .nan
        }
        guard let time else {
            reportTime(Self.excerpt(bytes, range), index)
            return .nan
        }
        return Double(time)
    }

    private func appendInteger(_ value: Double) {
        var rest = UInt64(value.magnitude)
        if value < 0 { entity.append(0x2D) }
        let first = entity.count
        repeat {
            entity.append(UInt8(0x30 + rest % 10))
            rest /= 10
        } while rest > 0
        entity[first...].reverse()
    }

    private func checkEntity() -> Bool {
        let field = schema.fields[schema.entityIndex].name
        if entity.isEmpty {
            report(field, .missingField, "The entity field `\(field)` is empty.")
        } else if entity.count > Self.maximumEntityBytes {
            report(
                field, .tooLarge, "The entity field `\(field)` has \(entity.count) bytes; at most \(Self.maximumEntityBytes) are allowed.")
        }
        return errors.isEmpty
    }
}
