import JSON

/// One alert as it is delivered and recorded on `<uc>.alerts`: self-contained, so that its reader needs nothing else.
///
/// Wire form: `{"id":"trips:42","group":"132","severity":"critical","title":…,"text":…,"entity":…,"score":…,"event_time":…,"produced_at":…,
///   "alerted_at":…,"suppressed":3,"model":…,"version":…,"features":{name:{"actual":…,"expected":…,"contribution":…}}}`
public struct AlertRecord: Sendable {
    /// The id of the anomaly that raised it; also the idempotency key of every delivery.
    public var id: String
    public var group: String
    public var title: String
    public var text: String
    /// Wall-clock time of the decision to alert, milliseconds.
    public var alertedAt: Int64
    /// Anomalies of the group that were held back by the cooldown since its last alert.
    public var suppressed: Int64
    public var anomaly: Anomaly

    public init(group: String, title: String, text: String, alertedAt: Int64, suppressed: Int64, anomaly: Anomaly) {
        id = anomaly.id
        self.group = group
        self.title = title
        self.text = text
        self.alertedAt = alertedAt
        self.suppressed = suppressed
        self.anomaly = anomaly
    }

    public func write(into writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in [("id", id), ("group", group), ("entity", anomaly.entity), ("title", title), ("text", text), ("status", anomaly.status)]
        {
            writer.key(name)
            writer.value(value)
        }
        writer.key("score")
        writer.value(anomaly.score)
        writer.key("confidence")
        writer.value(anomaly.confidence)
        for (name, value) in [
            ("event_time", anomaly.eventTime), ("produced_at", anomaly.producedAt), ("alerted_at", alertedAt), ("suppressed", suppressed),
        ] {
            writer.key(name)
            writer.value(value)
        }
        writer.key("model")
        writer.value(anomaly.model)
        writer.key("version")
        writer.value(anomaly.version)
        writer.key("features")
        writer.beginObject()
        for feature in anomaly.features {
            writer.key(feature.name)
            writer.beginObject()
            writer.key("actual")
            writer.value(feature.actual ?? .nan)
            writer.key("expected")
            writer.value(feature.expected ?? .nan)
            writer.key("contribution")
            writer.value(feature.contribution)
            writer.endObject()
        }
        writer.endObject()
        writer.endObject()
    }
}
