import Contracts
import Features
import JSON

/// Turns emissions into feature records: one writer per feature set, one per kind of record about silence.
struct FeatureWriters {
    private let sets: [FeatureRecordWriter]
    /// By the kind's raw value; nil for the kinds that belong to a set.
    private let silence: [FeatureRecordWriter?]
    private let names: [[UInt8]]
    private let silenceName = Array(FeatureRecordWriter.silenceSet.name.utf8)
    private let kinds = EmissionKind.allCases.map { Array($0.name.utf8) }
    /// Identity of the window or silence that was written last, UTF-8.
    private var id: [UInt8] = []

    init(_ plan: FeaturePlan) {
        sets = plan.sets.map { set in
            let kind: EmissionKind = if case .window = set.scope { .window } else { .event }
            return FeatureRecordWriter(set: set.name, kind: kind.name, features: set.features)
        }
        names = plan.sets.map { Array($0.name.utf8) }
        silence = EmissionKind.allCases.map { kind in
            let features: [String]
            switch kind {
            case .event, .window: return nil
            case .missing: features = ["expected_interval", "silence"]
            case .resumed: features = ["silence"]
            case .flapping: features = ["times_missing"]
            case .stuck: features = ["field", "value", "unchanged"]
            }
            return FeatureRecordWriter(set: FeatureRecordWriter.silenceSet.name, kind: kind.name, features: features)
        }
    }

    /// Appends one record.
    /// - Parameters:
    ///   - bytes: what the emission's entity is a part of.
    ///   - values: what the emission's vector is a part of.
    ///   - eventID: of the event whose own vector this may be.
    mutating func write(
        _ emission: Emission, _ bytes: UnsafeRawBufferPointer, _ values: UnsafeBufferPointer<Double>, eventID: UnsafeRawBufferPointer,
        producedAt: Int64, offset: Int64, sequence: Int, into writer: inout JSONWriter
    ) {
        guard let record = emission.set >= 0 ? sets[emission.set] : silence[Int(emission.kind.rawValue)] else { return }
        let vector = UnsafeBufferPointer(rebasing: values[emission.values])
        var head = FeatureRecordWriter.Head(
            id: eventID, entity: UnsafeRawBufferPointer(rebasing: bytes[emission.entity]), eventTime: emission.eventTime,
            window: emission.kind == .window ? emission.start..<emission.end : nil, producedAt: producedAt, offset: offset, sequence: sequence,
            revision: emission.revision, isLate: emission.isLate)
        if emission.kind == .event { return record.write(head, values: vector, into: &writer) }
        identify(emission, head.entity)
        id.withUnsafeBytes { id in
            head.id = id
            record.write(head, values: vector, into: &writer)
        }
    }

    /// `<set>:<entity>:<start>:<end>:<kind>`.
    private mutating func identify(_ emission: Emission, _ entity: UnsafeRawBufferPointer) {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: emission.set >= 0 ? names[emission.set] : silenceName)
        id.append(UInt8(ascii: ":"))
        id.append(contentsOf: entity)
        id.append(UInt8(ascii: ":"))
        NumberText.append(emission.start, to: &id)
        id.append(UInt8(ascii: ":"))
        NumberText.append(emission.end, to: &id)
        id.append(UInt8(ascii: ":"))
        id.append(contentsOf: kinds[Int(emission.kind.rawValue)])
    }
}
