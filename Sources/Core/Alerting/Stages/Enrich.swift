/// The stage `enrich`: how urgent an anomaly is by itself, and which group it belongs to.
extension AlertEngine {
    /// The group that takes the anomalies for which there is no room.
    static let overflow = "\u{1F}others"

    /// The sighting with its severity and its group.
    public func enrich(_ sighting: inout Sighting) {
        sighting.labels.severity = policy.severity(score: sighting.score, duration: 0)
        switch policy.groupBy.count {
        case 0: sighting.group = "*"
        case 1: sighting.group = sighting.labels[policy.groupBy[0]]
        default: sighting.group = policy.groupBy.map { sighting.labels[$0] }.joined(separator: "\u{1F}")
        }
        // The fuse has the empty key.
        if sighting.group.isEmpty { sighting.group = "-" }
    }

    /// The groups that may be needed beside those of the sightings themselves.
    public static var sharedGroups: [String] { [overflow] }

    static func name(ofGroup key: String) -> String {
        if key == overflow { return "others" }
        return String(key.map { $0 == "\u{1F}" ? "/" : $0 })
    }
}
