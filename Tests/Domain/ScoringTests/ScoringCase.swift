import Detectors
import Testing
import UseCases

@testable import Scoring

/// A use case with one feature set, two versions of a detector for it, and a stream of feature records of five entities.
struct ScoringCase {
    let useCase: UseCase
    let models: [ActiveModel]

    /// - Parameter isSmall: trees so few that a model is some kilobytes.
    init(_ kind: DetectorKind, isSmall: Bool = false) throws {
        let useCase = try UseCase.parse(
            """
            name: scoring-case
            partitions: 2
            event:
              entity: sensor
              time: at
              fields:
                sensor: { type: string }
                at:     { type: timestamp, format: epoch-milliseconds }
                a:      { type: number }
                b:      { type: number }
            features:
              reading: { a: a, b: b }
            silence: { interval: 1s, missed_intervals: 3 }
            detector: { name: ewma }
            threshold: { contamination: 0.02 }

            """, file: "/tmp/usecase.yaml")
        self.useCase = useCase
        models = try [1, 2].map { version in
            var rows: [Double] = []
            for row in 0..<400 as Range<Int64> {
                rows += [Double(row &* 7919 % 101) / 50, Double(row &* 104_729 % 89) / 40 + Double(row % 7) * 0.1]
            }
            var given: [String: ParameterValue] = kind == .randomCutForest ? ["trees": .integer(8), "sample_size": .integer(64)] : [:]
            if isSmall, kind == .isolationForest { given = ["trees": .integer(8), "sample_size": .integer(64)] }
            if isSmall, kind == .halfSpaceTrees { given = ["trees": .integer(5), "depth": .integer(5)] }
            let plan = try TrainingPlan(
                detector: kind, parameters: DetectorParameters(for: kind, given: given), featureNames: ["a", "b"],
                threshold: .contamination(0.02), seed: UInt64(version), createdAt: 0)
            let order = RowOrder(times: (0..<400).map { Int64($0) * 1000 }, entities: (0..<400).map { Int32($0 % 5) })
            let model = try TrainedModel.fit(FeatureMatrix(values: rows, columns: 2), order: order, plan: plan)
            return try #require(ActiveModel(model, version: Int64(version), set: 0, of: useCase))
        }
    }

    func generation(_ number: Int) -> ActiveModels { ActiveModels(generation: Int64(number), models: [models[number - 1]]) }

    /// Every eleventh record is far off; values wander a little.
    static func record(_ offset: Int64) -> [UInt8] {
        let far = offset % 11 == 10 ? 40.0 : 0
        let a = Double(offset &* 7919 % 101) / 50 + far
        let b = Double(offset &* 104_729 % 89) / 40 + Double(offset) / 200
        return Array(
            """
            {"id":"x:\(offset)","kind":"event","set":"reading","entity":"s\(offset % 5)","event_time":\(offset * 1000),"produced_at":1,\
            "offset":\(offset),"sequence":0,"features":{"a":\(a),"b":\(b)}}
            """.utf8)
    }
}
