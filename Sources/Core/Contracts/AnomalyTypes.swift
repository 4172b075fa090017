import JSON

/// What an anomaly is called when certain features explain it.
public struct AnomalyType: Sendable, Equatable {
    public let name: String
    public let features: [String]

    public init(name: String, features: [String]) {
        self.name = name
        self.features = features
    }
}

/// Names anomalies: the type whose features hold the largest share of the explanation, the earlier one where two hold the same.
///
/// Features of no type do not count. An anomaly that no type's features had a part in has no type.
public struct AnomalyTypes: Sendable {
    /// As JSON strings, quotes included.
    private let names: [[UInt8]]
    /// Of each feature of the model, its type; -1 for none.
    private let types: [Int]

    /// - Parameter features: names of the model's features, in the order of the contributions.
    public init(_ types: [AnomalyType], features: [String]) {
        names = types.map { JSONValue.string($0.name).serialized }
        self.types = features.map { feature in types.firstIndex { $0.features.contains(feature) } ?? -1 }
    }

    /// - Parameter contributions: one per feature of the model; their signs do not matter.
    /// - Returns: the type as a JSON string; nil where there is none.
    public func name(_ contributions: [Double]) -> [UInt8]? {
        var shares = [Double](repeating: 0, count: names.count)
        for (type, contribution) in zip(types, contributions) where type >= 0 && contribution.isFinite { shares[type] += abs(contribution) }
        var best: Int?
        for (type, share) in shares.enumerated() where share > (best.map { shares[$0] } ?? 0) { best = type }
        return best.map { names[$0] }
    }
}
