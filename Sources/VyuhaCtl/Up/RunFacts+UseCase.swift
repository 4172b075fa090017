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
        self.init(
            name: useCase.name, title: useCase.title, directory: useCase.directory, partitions: Int(useCase.partitions),
            sets: useCase.plan.sets.map(\.name), rate: useCase.source?.rate ?? Self.defaultRate, isFile: isFile, training: training, baseline: nil)
    }
}
