import Features
import UseCases

/// The feature library alone, without Kafka and JSON: windows over 100 to 1,000,000 entities.
struct LibraryBenchmark {
    let sensors: Int

    /// - Returns: a name, events per second of each run, and the goal, for each measurement.
    func run(_ definition: String, repeats: Int) throws -> [(String, [Double], Double?)] {
        let useCase = try UseCase.load(definition, environment: [:])
        var results: [(String, [Double], Double?)] = []
        for entities in [100, sensors, 1_000_000] {
            var rates: [Double] = []
            for _ in 0..<repeats { rates.append(try measure(useCase, entities)) }
            results.append(("windows, library alone, \(entities) entities", rates, entities == sensors ? 3_000_000 : nil))
        }
        return results
    }

    private func measure(_ useCase: UseCase, _ entities: Int) throws -> Double {
        var rules = useCase.plan.time
        rules.maximumEntities = 1_000_000
        let plan = try FeaturePlan(schema: useCase.plan.schema, sets: useCase.features, time: rules)
        let state = PartitionState(plan: plan)
        var emissions = Emissions()
        var events = SensorEvents(sensors: entities, perSecond: Double(entities) / 3)
        let names = (0..<entities).map { Array(SensorEvents.name($0).utf8) }
        let (value, time) = (plan.schema.index(of: "value") ?? 0, plan.schema.timeIndex)
        var row = [Double](repeating: 0, count: plan.schema.fields.count)
        let count = max(2_000_000, entities * 3)
        // The first round makes the entities known; it is not measured.
        var start = 0.0
        for index in 0..<(count + entities) {
            if index == entities { start = threadSeconds }
            let sensor = events.sensor(index)
            let when = Int64(events.time(index) * 1000)
            row[value] = events.value()
            row[time] = Double(when)
            if emissions.items.count > 10_000 { emissions.removeAll() }
            _ = state.apply(row: row, entity: names[sensor], eventTime: when, into: &emissions)
        }
        return Double(count) / (threadSeconds - start)
    }
}
