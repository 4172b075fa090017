import JSON

extension TrainedModel {
    /// Writes what a person or a registry wants to know about the model as one JSON object: detector, parameters, features with their
    /// medians, threshold in all its statements, and metadata. The fitted numbers stay in `encoded()`.
    public func writeMetadata(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("format")
        writer.value(Int(TrainedModel.formatVersion))
        writer.key("detector")
        writer.value(kind.rawValue)
        writer.key("parameters")
        writer.beginObject()
        for (name, value) in parameters.values {
            writer.key(name)
            value.write(to: &writer)
        }
        writer.endObject()
        writer.key("features")
        writer.beginArray()
        for (column, name) in featureNames.enumerated() {
            writer.beginObject()
            writer.key("name")
            writer.value(name)
            writer.key("median")
            writer.value(preprocessing.medians[column])
            writer.endObject()
        }
        writer.endArray()
        writer.key("threshold")
        writer.beginObject()
        writer.key("score")
        writer.value(threshold.score)
        writer.key("normal_share_above")
        writer.value(threshold.probability)
        writer.key("false_alerts_per_entity_per_day")
        if let alerts = threshold.falseAlertsPerEntityPerDay { writer.value(alerts) } else { writer.null() }
        writer.endObject()
        writer.key("created_at")
        writer.value(metadata.createdAt)
        writer.key("seed")
        writer.value(metadata.seed)
        writer.key("training_rows")
        writer.value(metadata.trainingRows)
        writer.key("held_back_rows")
        writer.value(metadata.heldBackRows)
        writer.key("data_fingerprint")
        writer.value(metadata.dataFingerprint)
        writer.key("metrics")
        writer.beginObject()
        for (name, value) in metadata.metrics.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            writer.value(value)
        }
        writer.endObject()
        writer.key("notes")
        writer.beginObject()
        for (name, value) in metadata.notes.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            writer.value(value)
        }
        writer.endObject()
        writer.endObject()
    }
}

extension ParameterValue {
    func write(to writer: inout JSONWriter) {
        switch self {
        case .integer(let value): writer.value(value)
        case .number(let value): writer.value(value)
        case .text(let value): writer.value(value)
        case .flag(let value): writer.value(value)
        case .list(let values):
            writer.beginArray()
            for value in values { writer.value(value) }
            writer.endArray()
        }
    }
}
