import Contracts
import Features
import JSON

/// Turns emissions into feature records: one writer per feature set, one per kind of record about silence.
struct FeatureWriters {
    private let sets: [FeatureRecordWriter]
    private let silence: [EmissionKind: FeatureRecordWriter]
    private let names: [[UInt8]]
    /// Identity of the record written last, UTF-8.
    private(set) var id: [UInt8] = []

    init(_ plan: FeaturePlan) {
        sets = plan.sets.map { FeatureRecordWriter(set: $0.name, features: $0.features) }
        names = plan.sets.map { Array($0.name.utf8) }
        func about(_ features: [String]) -> FeatureRecordWriter {
            FeatureRecordWriter(set: FeatureRecordWriter.silenceSet.name, features: features)
        }
        silence = [
            .missing: about(["expected_interval", "silence"]), .resumed: about(["silence"]), .flapping: about(["times_missing"]),
            .stuck: about(["field", "value", "unchanged"]),
        ]
    }

    /// Appends one record.
    /// - Parameter eventID: of the event whose own vector this may be.
    mutating func write(
        _ emission: Emission, of emissions: borrowing Emissions, eventID: [UInt8], producedAt: Int64, offset: Int64, sequence: Int,
        into writer: inout JSONWriter
    ) {
        guard let record = emission.set >= 0 ? sets[emission.set] : silence[emission.kind] else { return }
        if emission.kind == .event { id = eventID } else { identify(emission, emissions) }
        id.withUnsafeBytes { id in
            emissions.bytes.withUnsafeBytes { bytes in
                let head = FeatureRecordWriter.Head(
                    id: id, kind: Self.name(emission.kind), entity: UnsafeRawBufferPointer(rebasing: bytes[emission.entity]),
                    eventTime: emission.eventTime, window: emission.kind == .window ? emission.start..<emission.end : nil,
                    producedAt: producedAt, offset: offset, sequence: sequence)
                record.write(head, values: emissions.values, emission.values, into: &writer)
            }
        }
    }

    /// `<set>:<entity>:<start>:<end>:<kind>`.
    private mutating func identify(_ emission: Emission, _ emissions: borrowing Emissions) {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: emission.set >= 0 ? names[emission.set] : Array(FeatureRecordWriter.silenceSet.name.utf8))
        id.append(UInt8(ascii: ":"))
        id.append(contentsOf: emissions.bytes[emission.entity])
        id.append(UInt8(ascii: ":"))
        NumberText.append(emission.start, to: &id)
        id.append(UInt8(ascii: ":"))
        NumberText.append(emission.end, to: &id)
        id.append(UInt8(ascii: ":"))
        Self.name(emission.kind).withUTF8Buffer { id.append(contentsOf: $0) }
    }

    private static func name(_ kind: EmissionKind) -> StaticString {
        switch kind {
        case .event: "event"
        case .window: "window"
        case .missing: "missing"
        case .resumed: "resumed"
        case .flapping: "flapping"
        case .stuck: "stuck"
        }
    }
}
