/// A duration as people say it: its two largest units.
public enum DurationText {
    /// `2 h 14 min`, `12.5 s`, `850 ms`, `0 s`.
    public static func text(_ milliseconds: Int64) -> String {
        if milliseconds < 0 { return "-" + text(milliseconds == .min ? .max : -milliseconds) }
        if milliseconds == 0 { return "0 s" }
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        let tenths = milliseconds / 100
        if milliseconds < 60_000 { return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s" }
        let units: [(String, Int64)] = [("years", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
        let seconds = milliseconds / 1_000
        for (index, (name, length)) in units.enumerated() where seconds >= length && (index > 0 || seconds >= 2 * length) {
            let rest = index + 1 < units.count && index > 0 ? seconds % length / units[index + 1].1 : 0
            return "\(seconds / length) \(name)" + (rest == 0 ? "" : " \(rest) \(units[index + 1].0)")
        }
        return "\(seconds) s"
    }
}
