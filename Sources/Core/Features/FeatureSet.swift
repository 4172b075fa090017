/// A feature: a name and the expression that computes it.
public struct FeatureDefinition: Sendable, Equatable {
    public var name: String
    public var expression: String

    public init(_ name: String, _ expression: String) {
        self.name = name
        self.expression = expression
    }
}

/// What one vector of a feature set describes.
public enum FeatureScope: Sendable, Equatable {
    /// Each event.
    case event
    /// Each window of an entity in event time. Windows begin at multiples of `slide` since the epoch and last `length`, both in
    /// milliseconds; equal ones tumble, a shorter slide hops.
    case window(length: Int64, slide: Int64)
}

/// A named group of features that are computed together and make one vector.
public struct FeatureSetDefinition: Sendable, Equatable {
    public var name: String
    public var scope: FeatureScope
    /// A boolean expression over the fields of one event. Events for which it is not true do not exist for this set: they have no vector, are in no
    /// window, and nothing that looks back sees them. Nil: all events.
    public var condition: String?
    public var features: [FeatureDefinition]

    public init(name: String, scope: FeatureScope = .event, condition: String? = nil, features: [FeatureDefinition]) {
        self.name = name
        self.scope = scope
        self.condition = condition
        self.features = features
    }
}

/// A compiled feature set, as its users see it.
public struct FeatureSetInfo: Sendable, Equatable {
    public let name: String
    public let scope: FeatureScope
    /// Whether it takes only events of a kind.
    public let isConditional: Bool
    /// Names of the features, in the order of the vector.
    public let features: [String]
}

/// A set of features cannot be used. Offset and length of the error count inside the feature's expression.
public struct FeaturePlanError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nil when the mistake is in no single set.
    public let set: String?
    /// Nil when the set as a whole is wrong.
    public let feature: String?
    public let error: ExpressionError

    public init(set: String?, feature: String?, error: ExpressionError) {
        self.set = set
        self.feature = feature
        self.error = error
    }

    public var description: String {
        let place = [set, feature].compactMap(\.self).joined(separator: ".")
        return place.isEmpty ? error.message : "\(place): \(error.message)"
    }
}
