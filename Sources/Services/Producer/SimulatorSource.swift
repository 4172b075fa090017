import Features
import JSON
import Simulation

/// A simulator's events as rows of text, so that they take the same way as the rows of a file. Endless.
final class SimulatorSource<S: Simulator>: EventSource {
    let name: String
    let canResume = true
    let columns: [Int]
    let header: [String]

    // One thread owns a source, so the run-time checks of exclusive access would only cost.
    @exclusivity(unchecked) private var simulator: S
    @exclusivity(unchecked) private var event = SimulatedEvent()
    private let timeFormat: TimestampFormat
    private let isTime: [Bool]
    private let kinds: [String]
    private let key: RowKey
    private var start: Int64
    /// Milliseconds that a run which goes on with an earlier one adds, because that one started at another time.
    private var offset: Int64 = 0
    private let idStem: [UInt8]

    @exclusivity(unchecked) private var count: Int64 = 0
    @exclusivity(unchecked) private(set) var bytes: [UInt8] = []
    @exclusivity(unchecked) private(set) var fields: [Range<Int>]
    @exclusivity(unchecked) private(set) var id: [UInt8] = []

    init(_ simulator: S, schema: EventSchema) throws {
        let settings = simulator.settings
        let header = simulator.fields.map(\.name)
        do {
            _ = try ColumnBinding(schema: schema, header: header)
        } catch {
            throw SourceError("The simulator \(settings.name) does not fit the use case's event: \(error.message)")
        }
        self.simulator = simulator
        self.header = header
        name = settings.name + ":" + String(settings.seed)
        start = settings.start
        columns = Columns.find(schema, header: header, named: [:])
        key = try RowKey(schema: schema, header: header, columns: columns)
        timeFormat = schema.fields[schema.timeIndex].format
        guard TimeText.canWrite(timeFormat) else {
            throw SourceError("A simulator writes ISO 8601 or epoch times; the use case's `format` asks for a pattern.")
        }
        isTime = simulator.fields.map { $0.kind == .time }
        kinds = simulator.anomalyKinds
        idStem = Array((name + ":").utf8)
        fields = Array(repeating: 0..<0, count: header.count)
    }

    var raw: ArraySlice<UInt8> { bytes[...] }
    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { event.eventTime }
    var truth: Truth {
        guard event.anomaly > 0 else { return Truth() }
        return Truth(
            isAnomaly: true, ignore: !event.isJudged, kind: kinds[event.anomaly - 1], start: event.episode.start + offset,
            end: event.episode.end + offset)
    }
    var position: SourcePosition { SourcePosition(events: count, start: start) }
    var fraction: Double? { nil }

    func next() -> SourceRow? {
        simulator.next(into: &event)
        event.eventTime += offset
        count += 1
        writeRow()
        key.read(bytes, fields)
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: idStem)
        Digits.append(Int64(event.entity) + 1, to: &id)
        id.append(UInt8(ascii: ":"))
        Digits.append(event.sequence, to: &id)
        return .event
    }

    private func writeRow() {
        bytes.removeAll(keepingCapacity: true)
        for index in fields.indices {
            let from = bytes.count
            switch event.values[index] {
            case .missing: break
            case .integer(let value): Digits.append(value, to: &bytes)
            case .number(let value):
                if isTime[index] {
                    TimeText.append(event.eventTime, timeFormat, to: &bytes)
                } else {
                    NumberText.append(value, to: &bytes)
                }
            case .text(let range): bytes.append(contentsOf: event.text[range])
            }
            fields[index] = from..<bytes.count
        }
    }

    func resume(at position: SourcePosition) {
        offset = position.start - start
        start = position.start
        simulator.skip(position.events)
        count = position.events
    }
}
