import JSON

/// One message about an alert as it is delivered and recorded on `<uc>.alerts`: self-contained, so that its reader needs nothing else.
///
/// Wire form: `{"id":"2x9k/1","alert":"2x9k","event":"opened","severity":"critical","group":"132","title":…,"text":…,"raised_by":"trips:42",
///   "since":…,"last":…,"anomalies":3,"suppressed":0,"alerted_at":…,"anomaly":"trips:44","entity":"132","set":…,"type":…,"status":…,"score":…,
///   "confidence":…,"event_time":…,"produced_at":…,"model":…,"version":…,"features":{name:{"actual":…,"expected":…,"contribution":…}}}`
///
/// `event` is one of opened, updated, repeated, escalated, resolved, capped, held_back.
public struct AlertRecord: Sendable, Equatable {
    /// The message's own: `<alert>/<number>`; also the idempotency key of every delivery.
    public var id: String
    /// The same in all messages about one burst.
    public var alert: String
    public var event: String
    public var severity: String
    public var group: String
    public var title: String
    public var text: String
    /// The anomaly that began it.
    public var raisedBy: String
    /// Event times of its first and its latest anomaly, milliseconds.
    public var since: Int64
    public var last: Int64
    /// So far.
    public var anomalies: Int64
    /// Of the group, which nobody was told about since its last alert; of `capped` and `held_back` the messages held back.
    public var suppressed: Int64
    /// Wall-clock time of the decision to tell, milliseconds.
    public var alertedAt: Int64
    public var acknowledgedBy: String
    /// The worst so far.
    public var anomaly: Anomaly

    public init(
        id: String, alert: String, event: String, severity: String, group: String, title: String, text: String, raisedBy: String,
        since: Int64, last: Int64, anomalies: Int64, suppressed: Int64, alertedAt: Int64, acknowledgedBy: String = "", anomaly: Anomaly
    ) {
        self.id = id
        self.alert = alert
        self.event = event
        self.severity = severity
        self.group = group
        self.title = title
        self.text = text
        self.raisedBy = raisedBy
        self.since = since
        self.last = last
        self.anomalies = anomalies
        self.suppressed = suppressed
        self.alertedAt = alertedAt
        self.acknowledgedBy = acknowledgedBy
        self.anomaly = anomaly
    }

    public var isResolved: Bool { event == "resolved" }

    /// The record as JSON, as it is posted and written to `<uc>.alerts`.
    public var json: [UInt8] {
        var writer = JSONWriter(capacity: 1_024)
        write(into: &writer)
        return writer.bytes
    }

    public func write(into writer: inout JSONWriter) {
        writer.beginObject()
        let texts: [(StaticString, String)] = [
            ("id", id), ("alert", alert), ("event", event), ("severity", severity), ("group", group), ("title", title), ("text", text),
            ("raised_by", raisedBy), ("acknowledged_by", acknowledgedBy), ("anomaly", anomaly.id), ("entity", anomaly.entity),
            ("set", anomaly.set), ("type", anomaly.anomalyType ?? ""), ("status", anomaly.status), ("model", anomaly.model),
        ]
        for (name, value) in texts {
            writer.key(name)
            writer.value(value)
        }
        writer.key("score")
        writer.value(anomaly.score)
        writer.key("confidence")
        writer.value(anomaly.confidence)
        let numbers: [(StaticString, Int64)] = [
            ("since", since), ("last", last), ("anomalies", anomalies), ("suppressed", suppressed), ("alerted_at", alertedAt),
            ("event_time", anomaly.eventTime), ("produced_at", anomaly.producedAt), ("version", anomaly.version),
        ]
        for (name, value) in numbers {
            writer.key(name)
            writer.value(value)
        }
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

    /// Reads a record. Throws a sentence that names the field.
    public init(parsing bytes: [UInt8]) throws(JSONError) {
        let json = try JSONValue.parse(bytes)
        func text(_ name: String) throws(JSONError) -> String {
            guard let value = json[name]?.string else { throw JSONError("The field \(name) must be a string.", offset: nil) }
            return value
        }
        func integer(_ name: String) throws(JSONError) -> Int64 {
            guard let value = json[name]?.integer else { throw JSONError("The field \(name) must be an integer.", offset: nil) }
            return value
        }
        func number(_ name: String) throws(JSONError) -> Double {
            guard let value = json[name]?.double else { throw JSONError("The field \(name) must be a number.", offset: nil) }
            return value
        }
        let features = (json["features"]?.object ?? []).map { member in
            Anomaly.Feature(
                name: member.name, actual: member.value["actual"]?.double, expected: member.value["expected"]?.double,
                contribution: member.value["contribution"]?.double ?? 0)
        }
        let type = try text("type")
        self.init(
            id: try text("id"), alert: try text("alert"), event: try text("event"), severity: try text("severity"), group: try text("group"),
            title: try text("title"), text: try text("text"), raisedBy: try text("raised_by"), since: try integer("since"),
            last: try integer("last"), anomalies: try integer("anomalies"), suppressed: try integer("suppressed"),
            alertedAt: try integer("alerted_at"), acknowledgedBy: try text("acknowledged_by"),
            anomaly: Anomaly(
                id: try text("anomaly"), set: try text("set"), entity: try text("entity"), eventTime: try integer("event_time"),
                producedAt: try integer("produced_at"), score: try number("score"), status: try text("status"),
                confidence: try number("confidence"), model: try text("model"), version: try integer("version"), features: features,
                anomalyType: type.isEmpty ? nil : type))
    }
}
