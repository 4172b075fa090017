import Contracts

extension UseCase {
    /// The sets that records of `<uc>.features` can belong to: the feature sets in the plan's order, then silence where it is watched.
    public var recordSets: [(name: String, features: [String])] {
        let sets = plan.sets.map { (name: $0.name, features: $0.features) }
        return plan.silence == nil ? sets : sets + [FeatureRecordWriter.silenceSet]
    }
}
