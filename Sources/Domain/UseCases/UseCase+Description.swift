import Features
import YAMLReader

/// What `--print-config` shows: the definition as it is understood, defaults filled in.
extension UseCase: CustomStringConvertible {
    public var description: String {
        var lines = [
            "name: \(name)", "title: \(title)", "file: \(file)", "fingerprint: \(fingerprintText)", "partitions: \(partitions)",
            "event: entity \(event.entity), time \(event.time), unknown fields: \(event.schema.unknownFields.rawValue)",
        ]
        for field in event.schema.fields { lines.append("  " + Self.describe(field)) }
        if let retention { lines.append("events are kept for \(YAMLNode.durationText(retention))") }
        for set in features {
            let kind = set.condition.map { " when \($0)" } ?? ""
            switch set.scope {
            case .event: lines.append("features \(set.name), per event\(kind):")
            case .window(let length, let slide):
                let (length, slide) = (YAMLNode.durationText(length), YAMLNode.durationText(slide))
                lines.append("features \(set.name), per window of \(length) every \(slide)\(kind):")
            }
            for feature in set.features { lines.append("  \(feature.name) = \(feature.expression)") }
        }
        if let source { lines.append("source: " + Self.describe(source)) }
        switch training?.kind {
        case .file(let file): lines.append("training: \(file.file)")
        case .simulator(let simulator, let duration):
            lines.append("training: \(Self.describe(simulator)), duration \(YAMLNode.durationText(duration))")
        case nil: break
        }
        if detectors.general != nil { lines += Self.describe(detector, as: "detector") }
        for set in plan.sets {
            if let own = detectors.own[set.name] { lines += Self.describe(own, as: "detector of \(set.name)") }
        }
        for policy in detectors.policies {
            let range = policy.validRange.map { ", valid \($0.lowerBound) to \($0.upperBound)" } ?? ""
            lines.append(
                "policy of \(policy.feature): direction \(policy.direction.rawValue), minimum \(policy.minimumAbsolute) or "
                    + "\(policy.minimumRelative) of the median\(range)")
        }
        switch threshold.rule {
        case .contamination(let share): lines.append("threshold: contamination \(share)")
        case .score(let cut): lines.append("threshold: score \(cut)")
        case .falseAlerts(let alerts): lines.append("threshold: \(alerts) false alerts per entity and day")
        }
        for type in types { lines.append("type \(type.name): \(type.features.joined(separator: ", "))") }
        lines.append("reply: \(reply.members.map(\.name).joined(separator: ", "))")
        lines.append("status: \(status.normal), \(status.anomaly)")
        let webhook = alerts.webhook == nil ? "" : ", to a webhook"
        let policy = alerts.policy
        let times: [(String, Int64)] = [
            ("wait", policy.groupWait), ("interval", policy.groupInterval), ("repeat", policy.repeatInterval), ("cooldown", policy.cooldown),
            ("resolve after", policy.resolveAfter),
        ]
        let by = policy.groupBy.isEmpty ? "one group" : "by " + policy.groupBy.map(\.rawValue).joined(separator: ", ")
        lines.append(
            "alerts: \(by), " + times.map { "\($0.0) \(YAMLNode.durationText($0.1))" }.joined(separator: ", ")
                + ", at most \(policy.capPerHour) an hour\(webhook)")
        if let baseline { lines.append("baseline: \(baseline.field), \(baseline.direction.rawValue)") }
        lines.append("metrics: \(metricPrefix)_")
        return lines.joined(separator: "\n")
    }

    private static func describe(_ field: EventField) -> String {
        var text = "\(field.name): \(field.type.rawValue)"
        if field.path != field.name { text += " at \(field.path)" }
        if let unit = field.unit { text += ", \(unit)" }
        if let low = field.minimum { text += ", at least \(low)" }
        if let low = field.above { text += ", above \(low)" }
        if let high = field.maximum { text += ", at most \(high)" }
        if let high = field.below { text += ", below \(high)" }
        if !field.values.isEmpty { text += ", one of \(field.values.count) values" }
        if !field.isRequired || field.defaultValue != nil { text += ", optional" }
        return text
    }

    private static func describe(_ source: SourceSection) -> String {
        let kind =
            switch source.kind {
            case .file(let file): file.file
            case .http(let api): api.url
            case .postgresql(let table): "table \(table.table)"
            case .kafka(let topic): "topic \(topic.topic)"
            case .mqtt(let mqtt): "topics \(mqtt.filters.map(\.text).joined(separator: ", ")) of \(mqtt.server)"
            case .push(let push): "POST /events on port \(push.port)"
            case .simulator(let simulator): describe(simulator)
            }
        return source.rate.map { "\(kind), \($0) events a second" } ?? kind
    }

    private static func describe(_ simulator: SimulatorSource) -> String {
        "simulator \(simulator.name), entities \(simulator.entities), interval \(YAMLNode.durationText(simulator.interval)), "
            + "anomaly rate \(simulator.anomalyRate), seed \(simulator.seed)"
    }

    private static func describe(_ detector: DetectorSection, as title: String) -> [String] {
        let settings =
            detector.parameters.values.map { "\($0.name) \($0.value)" } + ["seed \(detector.seed)", "scaling \(detector.scaling.rawValue)"]
        let line = "\(title): \(detector.name), \(settings.joined(separator: ", "))"
        return detector.features.isEmpty ? [line] : [line, "  on \(detector.features.joined(separator: ", "))"]
    }
}
