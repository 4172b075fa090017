import UseCases

extension RunFacts {
    init(_ useCase: UseCase) {
        var isFile = false
        if case .csv? = useCase.source?.kind { isFile = true }
        let training: Training?
        switch useCase.training?.kind {
        case .csv(let source): training = .csv(useCase.resolve(source.file))
        case .simulator: training = .simulated
        case nil: training = nil
        }
        let baseline = useCase.baseline.map { baseline in
            (path: useCase.plan.schema.fields[baseline.fieldIndex].path, field: baseline.field, direction: CutDirection(baseline.direction))
        }
        self.init(
            name: useCase.name, title: useCase.title, directory: useCase.folder, partitions: useCase.partitions,
            sets: useCase.plan.sets.map(\.name), rate: useCase.source?.rate ?? Self.defaultRate, isFile: isFile, training: training,
            baseline: baseline, retention: useCase.retention)
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
