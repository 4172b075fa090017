/// What can be computed over the values of a window or of an entity's last events.
///
/// Missing values are left out; over no value at all every aggregate but the counts is missing.
enum Aggregate: String, CaseIterable, Sendable {
    /// Events, or with an argument its values that are not missing.
    case count
    case sum
    case mean
    /// Standard deviation of the values themselves (divided by n): 0 for one value.
    case std
    case min
    case max
    /// max − min.
    case range
    /// In event time; of two at the same time the one that arrived first.
    case first
    /// In event time; of two at the same time the one that arrived last.
    case last
    /// Least-squares slope per second; missing below two different times.
    case slope
    /// Events, or with an argument the sum of its values, per second.
    case rate
    /// `quantile(x, 0.95)`; within 1 % of the exact value over windows, exact over the last events.
    case quantile
    /// `quantile(x, 0.5)`.
    case median
    /// Different values: exact up to 128, then within about 2.3 % (one standard error).
    case distinct

    /// Whether it can do without a column: it then counts events.
    var canCountEvents: Bool { self == .count || self == .rate }
    /// Whether texts can be its input.
    var takesText: Bool { self == .count || self == .distinct }
}
