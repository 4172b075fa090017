import Contracts
import UseCases

extension RunFacts {
    init(_ useCase: UseCase) {
        var isFile = false
        if case .file(let file)? = useCase.source?.kind { isFile = !file.follow }
        let training: Training?
        switch useCase.training?.kind {
        case .file(let source) where source.kind == .csv: training = .csv(useCase.resolve(source.file))
        case .file, .simulator: training = .exported
        case nil: training = nil
        }
        let baseline = useCase.baseline.map { baseline in
            (path: useCase.plan.schema.fields[baseline.fieldIndex].path, field: baseline.field, direction: CutDirection(baseline.direction))
        }
        var sets = useCase.plan.sets.map { FlowSet($0.name, isPerEvent: $0.scope == .event) }
        sets.append(FlowSet(FeatureRecordWriter.silenceSet.name, isPerEvent: false))
        let windows = useCase.plan.sets.compactMap { set -> Int64? in
            if case .window(let length, _) = set.scope { length } else { nil }
        }
        self.init(
            name: useCase.name, title: useCase.title, directory: useCase.folder, partitions: useCase.partitions,
            sets: useCase.plan.sets.map(\.name), flowSets: sets, plan: useCase.plan, aftermath: max(60_000, windows.max() ?? 0),
            longestDelay: (windows.max() ?? 0) + useCase.plan.time.longestDelay,
            rate: useCase.source?.rate ?? Self.defaultRate, isFile: isFile, training: training,
            baseline: baseline, prefix: useCase.prefix, retention: useCase.retention)
    }
}

extension CutDirection {
    init(_ direction: BaselineSection.Direction) {
        switch direction {
        case .up: self = .up
        case .down: self = .down
        }
    }
}
