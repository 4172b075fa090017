import Features
import UseCases

/// Which features of a set depend on more than their own event.
///
/// A feature is compiled alone, with only those others of its set that it mentions, and the plan is asked: so the answer is the compiler's
/// own, whatever functions the language has.
enum HistoryFeatures {
    /// - Returns: one flag per feature, in the order of the set.
    static func of(_ set: FeatureSetDefinition, schema: EventSchema) -> [Bool] {
        if case .window = set.scope { return set.features.map { _ in true } }
        return set.features.indices.map { needsHistory($0, set, schema) }
    }

    private static func needsHistory(_ index: Int, _ set: FeatureSetDefinition, _ schema: EventSchema) -> Bool {
        var used: Set<Int> = [index]
        var open = [index]
        while let next = open.popLast() {
            let words = Set(
                set.features[next].expression.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init))
            for (other, feature) in set.features.enumerated() where words.contains(feature.name) && used.insert(other).inserted {
                open.append(other)
            }
        }
        let part = FeatureSetDefinition(name: set.name, features: used.sorted().map { set.features[$0] })
        // The rules of a time zone do not matter here.
        return (try? FeaturePlan(schema: schema, sets: [part], zones: { _ in .utc }).needsHistory) ?? true
    }
}
