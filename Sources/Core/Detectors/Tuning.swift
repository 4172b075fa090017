/// Every constant that moves a score of the ensemble, in one table, each with what justifies it.
///
/// A number is taken from the method's paper, follows from a definition, or is a bound of memory and time. Windows and quantile came out the same
/// when each family of streams was judged by the choice of the others; history, neighbours and the start of an alert were chosen with all of
/// them in sight, so their gain on other data is not known yet.
enum Tuning {
    /// A stream against its own past, `MatrixProfile` and `StreamEnsemble`.
    enum Stream {
        /// Rows in a window: octaves, so that every duration from 8 to 128 rows has one within a factor of √2. No period is searched for:
        /// a wrong one costs more than a right one gains.
        static let windows = [8, 16, 32, 64, 128]
        /// Windows of the past that a window is compared with. Bounds memory and time, nothing else.
        static let history = 8192
        /// Rows that become an example only this long after they came, so that an anomaly of up to as many rows is not its own example; the
        /// same as the readings after which a lasting new level counts as normal.
        static let adaptAfter = 200
        /// Nearest windows whose distance counts: more than one, so that one earlier anomaly of the same kind does not hide the next.
        static let neighbours = 5
        /// Distances of the recent past that say what distance is usual.
        static let usual = 4000
        /// The unit of surprise: a tenth of the usual distances is longer than the quantile, and a distance s times as long has surprise s
        /// under an exponential tail (P = 0.1^s).
        static let usualQuantile = 0.9
        /// Surprise from which on an alert begins, one row in a thousand for either member.
        static let onset = 3.0
        /// The least usual distance, in deviations of the probation: below it differences are noise of rounding.
        static let floor = 0.01
    }
}
