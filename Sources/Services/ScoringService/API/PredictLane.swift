import Features
import RedisClient
import Scoring
import UseCases

extension Predictor {
    /// The events of a request that one feature set scores.
    struct Lane {
        /// Position in the plan's sets.
        let set: Int
        private let evaluator: FeatureEvaluator?
        private let join: OnlineJoin?
        private let width: Int
        /// `[event × feature of the set]`
        private var features: [Double] = []
        /// The place of each event among the request's, and its entity where the online store is asked.
        private var numbers: [Int] = []
        private var entities: [String] = []
        private var statuses: [OnlineStatus] = []
        private var vector: [Double]
        /// Of one event the features that came from the store.
        private var known: [Double] = []
        private(set) var scored = ScoredRows()

        init(_ useCase: UseCase, set: Int, redis: RedisSettings, onlineTimeout: Int) {
            let plan = useCase.plan
            self.set = set
            width = plan.sets[set].features.count
            evaluator = plan.sets[set].scope == .event ? FeatureEvaluator(plan: plan, set: set) : nil
            join = OnlineJoin(useCase, set: set, redis: redis, timeout: onlineTimeout)
            vector = Array(repeating: .nan, count: width)
        }

        var count: Int { numbers.count }

        mutating func removeAll(keepingCapacity keeps: Bool) {
            features.removeAll(keepingCapacity: keeps)
            numbers.removeAll(keepingCapacity: keeps)
            entities.removeAll(keepingCapacity: keeps)
            statuses.removeAll(keepingCapacity: keeps)
        }

        /// - Returns: false when the set does not take such an event.
        mutating func take(_ row: [Double], event number: Int, entity: [UInt8]) -> Bool {
            guard evaluator?.compute(row, into: &vector) ?? true else { return false }
            features.append(contentsOf: vector)
            numbers.append(number)
            if join != nil { entities.append(String(decoding: entity, as: UTF8.self)) }
            return true
        }

        /// - Parameter fields: of all events of the request.
        /// - Returns: the number of anomalies.
        mutating func score(_ runner: ModelRunner, fields: [Double], fieldCount: Int, _ metrics: APIMetrics) -> Int {
            joinOnline(fields, fieldCount, metrics)
            runner.score(features, into: &scored)
            var anomalies = 0
            for flag in scored.flags where flag { anomalies += 1 }
            return anomalies
        }

        func status(_ row: Int) -> OnlineStatus { join == nil ? .notNeeded : statuses[row] }

        private mutating func joinOnline(_ fields: [Double], _ fieldCount: Int, _ metrics: APIMetrics) {
            guard let join else { return metrics.joined(.notNeeded, count) }
            join.join(entities, matrix: &features, statuses: &statuses)
            for row in statuses.indices {
                metrics.joined(statuses[row], 1)
                guard statuses[row] == .joined, let evaluator else { continue }
                let number = numbers[row]
                recompute(row, fields[number * fieldCount..<(number + 1) * fieldCount], join.columns, evaluator)
            }
        }

        /// What is made of the features that came from the store is made of them and the event.
        private mutating func recompute(_ row: Int, _ fields: ArraySlice<Double>, _ columns: [Int], _ evaluator: FeatureEvaluator) {
            let first = row * width
            known.removeAll(keepingCapacity: true)
            for column in columns { known.append(features[first + column]) }
            evaluator.compute(fields, known: known, into: &vector)
            for i in 0..<width { features[first + i] = vector[i] }
        }
    }
}
