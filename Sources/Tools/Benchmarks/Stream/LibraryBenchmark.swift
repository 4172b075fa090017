import Features
import UseCases

/// The feature library alone, without Kafka and JSON: windows over 100 to 1,000,000 entities of one partition.
struct LibraryBenchmark {
    /// Events that are known before they are applied, as the stream processor knows a batch: their state is fetched ahead.
    private static let batch = 1_000

    let sensors: Int

    struct Result {
        var entities: Int
        /// Events per CPU second of each run.
        var rates: [Double]
        var bytesPerEntity: Double
    }

    func run(_ definition: String, repeats: Int) throws -> [Result] {
        let useCase = try UseCase.load(definition, environment: [:])
        return try [100, sensors, 1_000_000].map { entities in
            var result = Result(entities: entities, rates: [], bytesPerEntity: 0)
            for _ in 0..<repeats {
                let (rate, bytes) = try measure(useCase, entities)
                result.rates.append(rate)
                result.bytesPerEntity = max(result.bytesPerEntity, bytes)
            }
            return result
        }
    }

    private func measure(_ useCase: UseCase, _ entities: Int) throws -> (rate: Double, bytesPerEntity: Double) {
        var rules = useCase.plan.time
        rules.maximumEntities = 1_000_000
        let plan = try FeaturePlan(schema: useCase.plan.schema, sets: useCase.features, time: rules)
        let state = PartitionState(plan: plan)
        var emissions = Emissions()
        var events = SensorEvents(sensors: entities, perSecond: Double(entities) / 3)
        let (value, time) = (plan.schema.index(of: "value") ?? 0, plan.schema.timeIndex)
        var row = [Double](repeating: 0, count: plan.schema.fields.count)
        // Enough for windows to be full and to close several times.
        let count = max(2_000_000, entities * 3)
        // A batch as it comes from Kafka: keys in one arena. Making it is not measured.
        var (bytes, keys): ([UInt8], [Range<Int>]) = ([], [])
        var names = [[UInt8]](repeating: [], count: Self.batch)
        var readings = [(when: Int64, value: Double)](repeating: (0, 0), count: Self.batch)
        var seconds = 0.0
        var index = 0
        while index < count + entities {
            // The first round makes the entities known; it is not measured.
            let size = min(Self.batch, (index < entities ? entities : count + entities) - index)
            bytes.removeAll(keepingCapacity: true)
            keys.removeAll(keepingCapacity: true)
            for i in 0..<size {
                names[i].removeAll(keepingCapacity: true)
                SensorEvents.append(name: events.sensor(index + i), to: &names[i])
                readings[i] = (Int64(events.time(index + i) * 1000), events.value())
                keys.append(bytes.count..<bytes.count + names[i].count)
                bytes += names[i]
            }
            let start = threadSeconds
            state.touch(bytes, keys)
            if emissions.items.count > 10_000 { emissions.removeAll() }
            for i in 0..<size {
                row[value] = readings[i].value
                row[time] = Double(readings[i].when)
                _ = state.apply(row: row, entity: names[i], eventTime: readings[i].when, into: &emissions)
            }
            if index >= entities { seconds += threadSeconds - start }
            index += size
        }
        return (Double(count) / seconds, Double(state.byteCount) / Double(entities))
    }
}
