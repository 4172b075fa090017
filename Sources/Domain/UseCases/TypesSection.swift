import Contracts
import Features
import Text
import YAMLReader

/// `types`: what an anomaly is called, by the features that explain it. A feature speaks for one type.
struct TypesSection {
    let types: [AnomalyType]

    init(_ node: YAMLNode, sets: [FeatureSetInfo]) throws(YAMLError) {
        let known = sets.flatMap(\.features)
        var types: [AnomalyType] = []
        for entry in try node.mapping().entries {
            guard !entry.key.isEmpty else { throw entry.value.error("A type of anomaly needs a name, such as spike.") }
            var features: [String] = []
            for item in try entry.value.sequence() {
                let feature = try item.string()
                guard known.contains(feature) else {
                    let hint = Nearest.name(to: feature, in: known).map { "; did you mean `\($0)`?" } ?? "; declare it under `features`."
                    throw item.error("There is no feature `\(feature)`\(hint)")
                }
                if let other = types.first(where: { $0.features.contains(feature) })?.name ?? (features.contains(feature) ? entry.key : nil) {
                    throw item.error("The feature `\(feature)` speaks for the type `\(other)` already; name it once.")
                }
                features.append(feature)
            }
            guard !features.isEmpty else { throw entry.value.error("The type `\(entry.key)` names no feature.") }
            types.append(AnomalyType(name: entry.key, features: features))
        }
        guard !types.isEmpty else { throw node.error("`types` names no type; leave it out.") }
        self.types = types
    }
}
