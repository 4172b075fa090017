import Contracts
import Features

extension UseCase {
    /// The sets that records of `<uc>.features` can belong to: the feature sets in the plan's order, then silence where it is watched.
    public var recordSets: [(name: String, features: [String])] {
        let sets = plan.sets.map { (name: $0.name, features: $0.features) }
        return plan.silence == nil ? sets : sets + [FeatureRecordWriter.silenceSet]
    }
}

extension DetectorSection {
    /// Which features of a set the detector sees: those that it names, or all where it names none of this set.
    public func features(of set: FeatureSetInfo) -> [String] {
        let named = features.filter { set.features.contains($0) }
        return named.isEmpty ? set.features : named
    }
}
