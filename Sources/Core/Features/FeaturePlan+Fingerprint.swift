extension FeaturePlan {
    /// The hash of everything that decides a vector or the layout of the state.
    ///
    /// Stored snapshots carry it, so the text is a wire format: version 0.1.0 took it from Swift's own description of the rules, and it stays
    /// letter for letter what it was, whatever a property or a type is called here. A new rule adds to the text only where it is not at its
    /// default, so that definitions without it keep their fingerprint.
    static func fingerprint(_ schema: EventSchema, _ sets: [FeatureSetDefinition], _ time: EventTimeRules, _ absence: SilenceRules?) -> UInt64 {
        var result = "1|\(text(time))|\(absence.map { optional(text($0)) } ?? "nil")|\(schema.entityIndex)|\(schema.timeIndex)"
        // Bounds and units do not change a good event's vector; names, types and defaults do.
        for field in schema.fields { result += "|\(field.name):\(field.type.rawValue):\(field.defaultValue?.text ?? "")" }
        for set in sets {
            result += "|\(set.name):\(Self.text(set.scope))"
            if let condition = set.condition { result += "|when=\(condition)" }
            for feature in set.features { result += "|\(feature.name)=\(feature.expression)" }
        }
        let bytes = Array(result.utf8)
        return TextHash.hash(bytes, 0..<bytes.count)
    }

    private static func text(_ time: EventTimeRules) -> String {
        let future = time.maximumFuture.map { optional("\($0)") } ?? "nil"
        return "EventTimeRules(outOfOrderness: \(time.outOfOrderness), allowedLateness: \(time.allowedLateness), closeSpread: \(time.closeSpread), "
            + "maximumFuture: \(future), maximumEntities: \(time.maximumEntities))"
    }

    private static func text(_ absence: SilenceRules) -> String {
        let interval =
            switch absence.interval {
            case .declared(let milliseconds)?: optional("Features.SilenceRules.Interval.declared(\(milliseconds))")
            case .learned?: optional("Features.SilenceRules.Interval.learned")
            case nil: "nil"
            }
        let stuck = absence.stuck.map {
            "Features.SilenceRules.Stuck(field: \(String(reflecting: $0.field)), after: \($0.after), events: \($0.events))"
        }
        let flapping = absence.flappingCount.map { optional("\($0)") } ?? "nil"
        return "Features.SilenceRules(interval: \(interval), missedIntervals: \(absence.missedIntervals), flappingCount: \(flapping), "
            + "flappingPeriod: \(absence.flappingPeriod), stuck: [\(stuck.joined(separator: ", "))])"
    }

    private static func text(_ scope: FeatureScope) -> String {
        switch scope {
        case .event: "event"
        case .window(let length, let slide): "window(length: \(length), slide: \(slide))"
        }
    }

    private static func optional(_ text: String) -> String { "Optional(\(text))" }
}
