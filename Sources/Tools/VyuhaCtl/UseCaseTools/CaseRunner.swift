import Contracts
import Features
import Text
import UseCases

/// What came of one case.
struct CaseResult: Equatable {
    let name: String
    let line: Int
    /// A sentence for each thing that was not as expected; empty when all was.
    let problems: [String]

    var hasPassed: Bool { problems.isEmpty }
}

/// Runs cases with the stream processor's own decoder and state, each on a partition of its own.
struct CaseRunner {
    let plan: FeaturePlan

    func run(_ testCase: DefinitionCase) -> CaseResult {
        let outcome = Outcome(plan, testCase)
        var problems: [String] = []
        if let refusal = testCase.refusal {
            problems += judge(refusal, outcome.errors)
        } else if !outcome.errors.isEmpty {
            problems += outcome.errors.map { "Refused as \($0.reason.rawValue): \($0.message)" }
        } else {
            problems += testCase.values.flatMap { judge($0, outcome.vector(set: $0.set), testCase.tolerance, "") }
        }
        for window in testCase.windows {
            let found = outcome.all.items.first {
                $0.kind == .window && $0.set == window.values.set && $0.end == window.end
                    && outcome.all.entity(of: $0) == window.entity
            }
            let place = " in the window of \(window.entity) that ends at \(ISO8601.format(window.end))"
            problems += judge(window.values, found.map { outcome.all.vector(of: $0) }, testCase.tolerance, place)
        }
        for silence in testCase.silence {
            let isThere = outcome.all.items.contains { $0.kind == silence.kind && outcome.all.entity(of: $0) == silence.entity }
            if !isThere { problems.append("\(silence.entity) was not found \(silence.kind.name).") }
        }
        return CaseResult(name: testCase.name, line: testCase.line, problems: problems)
    }

    private func judge(_ refusal: DefinitionCase.Refusal, _ errors: [FieldError]) -> [String] {
        guard !errors.isEmpty else { return ["The event was taken, but should be refused as \(refusal.reason.rawValue)."] }
        var problems: [String] = []
        if !errors.contains(where: { $0.reason == refusal.reason }) {
            let reasons = Set(errors.map(\.reason.rawValue)).sorted().joined(separator: ", ")
            problems.append("The event was refused as \(reasons), not as \(refusal.reason.rawValue).")
        }
        if let fields = refusal.fields {
            let named = Set(errors.map(\.field))
            if named != Set(fields) {
                problems.append(
                    "The fields that were refused are \(named.sorted().joined(separator: ", ")), not \(fields.joined(separator: ", ")).")
            }
        }
        return problems
    }

    private func judge(_ values: DefinitionCase.Values, _ vector: [Double]?, _ tolerance: Double, _ place: String) -> [String] {
        let set = plan.sets[values.set].name
        if values.isAbsent { return vector == nil ? [] : ["There is a record of `\(set)`\(place), but there should be none."] }
        guard let vector else { return ["There is no record of `\(set)`\(place)."] }
        return values.features.compactMap { feature in
            let actual = vector[feature.index]
            let name = "`\(set).\(feature.name)`\(place)"
            guard let expected = feature.value else { return actual.isNaN ? nil : "\(name) is \(actual), but should be missing." }
            guard !actual.isNaN else { return "\(name) is missing, but should be \(expected)." }
            let isClose = abs(actual - expected) <= tolerance * max(1, abs(expected))
            return isClose ? nil : "\(name) is \(actual), but should be \(expected)."
        }
    }

    /// What the events of a case cause.
    private struct Outcome {
        /// Of the event that was refused; the events behind it are not read.
        private(set) var errors: [FieldError] = []
        private(set) var all = Emissions()
        /// Where the last event's records begin in `all`.
        private var last = 0

        init(_ plan: FeaturePlan, _ testCase: DefinitionCase) {
            let decoder = EventDecoder(schema: plan.schema)
            let state = PartitionState(plan: plan)
            for event in testCase.events {
                last = all.items.count
                guard decoder.decode(event) else {
                    errors = decoder.errors
                    return
                }
                let time = plan.schema.fields[plan.schema.timeIndex].name
                let outcome = state.apply(decoder, kafkaTimestamp: decoder.eventTime, into: &all)
                guard let reason = outcome.refusal else { continue }
                errors = [FieldError(field: time, reason: reason, message: outcome.sentence(plan.time) ?? "")]
                return
            }
            if let until = testCase.until { state.advance(to: until, into: &all) }
            if !testCase.windows.isEmpty { state.finish(into: &all) }
        }

        func vector(set: Int) -> [Double]? {
            all.items[last...].first { $0.kind == .event && $0.set == set }.map { all.vector(of: $0) }
        }
    }
}
