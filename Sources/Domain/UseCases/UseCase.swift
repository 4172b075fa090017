import Contracts
import Features
import Text

/// A use case: all that the suite must know to watch one stream, read from `services/usecases/<name>/usecase.yaml` and checked.
///
/// A value that exists is consistent: its fields, expressions, detector, templates and reply fit together. Times are milliseconds.
public struct UseCase: Sendable {
    /// What topics, consumer groups and Redis keys begin with: the name in the definition (lower-case letters, digits and `-`), and before it, with a
    /// dot, the prefix of this installation where it has one (`named(under:)`).
    public internal(set) var name: String
    /// Of this installation's names; nil: it has none.
    public internal(set) var prefix: String?
    /// For people: one line.
    public let title: String
    /// For people: a paragraph, may be empty.
    public let summary: String
    /// Of each of its topics.
    public let partitions: Int
    public let event: EventSection
    /// Schema, feature sets and time rules, compiled.
    public let plan: FeaturePlan
    /// How long the topic of events is to keep them, milliseconds; nil leaves it to the broker. No window is open for longer.
    public let retention: Int64?
    /// The feature sets as they are written, in the order of `plan.sets`.
    public let features: [FeatureSetDefinition]
    /// Where `producer` takes events from, if the use case has a source of its own.
    public let source: SourceSection?
    /// What a first model is trained on.
    public let training: TrainingSection?
    public let detectors: DetectorsSection
    /// Of the sets that have none of their own; where all have, the first set's.
    public let detector: DetectorSection
    public let threshold: ThresholdSection
    /// What anomalies are called, in the order of the definition; empty where nobody named any.
    public let types: [AnomalyType]
    /// The shape of the answer of `POST /predict`.
    public let reply: ReplySection
    public let status: StatusTexts
    public let alerts: AlertsSection
    /// A one-field rule to compare the detector with.
    public let baseline: BaselineSection?
    /// The first part of the use case's own metrics: lower-case letters, digits and `_`.
    public let metricPrefix: String
    /// The file as it was named or found.
    public let file: String
    /// The folder of the file, absolute where the file was loaded: sample files are relative to it.
    public let folder: String
    /// FNV-1a of the file's bytes: says which definition a model was trained with.
    public let fingerprint: UInt64

    /// The fingerprint in 16 hexadecimal digits.
    public var fingerprintText: String { Hexadecimal.text(fingerprint) }

    /// The path of a file that the definition names.
    public func resolve(_ path: String) -> String {
        path.hasPrefix("/") || path == "-" || folder.isEmpty ? path : folder + "/" + path
    }
}

/// The words for a record that is normal and for one that is not.
public struct StatusTexts: Sendable, Equatable {
    public let normal: String
    public let anomaly: String
}

/// What is wrong with a definition: `file:line:column: sentence`.
public struct UseCaseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Empty when no file was found.
    public let file: String
    /// Counted from 1; 0 when the file as a whole is meant.
    public let line: Int
    public let column: Int
    public let message: String

    public var description: String {
        if file.isEmpty { return message }
        return line == 0 ? "\(file): \(message)" : "\(file):\(line):\(column): \(message)"
    }
}
