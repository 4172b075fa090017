/// A stream against its own past, row by row: the ensemble where nothing was fitted before.
///
/// Two members that differ. The matrix profile (distance in shape, five durations) orders the rows: how long an anomaly lasts and which of
/// two is the greater. An alert begins where either member, the profile or conformal neighbours (rank of a whitened shingle), finds less
/// than one row in a thousand as strange; its first row stands above every row that begins none, since a shock stays in windows for as long
/// as they are and would count many times.
struct StreamEnsemble {
    private let span: Int
    private var profile: MatrixProfile
    private let neighbours: ConformalNeighbours
    private var state: DetectorState
    private var scratch = ScoringScratch()
    private var rows = 0
    /// Rows until the profile may begin an alert again.
    private var quiet = 0

    init(columns: Int, span: Int) throws(DetectorError) {
        self.span = span
        profile = MatrixProfile(columns: columns, span: span)
        neighbours = ConformalNeighbours.untrained(
            columns: columns, parameters: try DetectorParameters(for: .conformalNeighbours, given: ["span": .integer(span)]))
        state = neighbours.makeState()
    }

    /// The score of a row, 0...1, in the light of those before it; takes the row in.
    mutating func score(_ row: Span<Double>) -> Double {
        let shape = profile.surprise(row)
        let rank = neighbours.score(row, time: 0, state: &state, scratch: &scratch)
        neighbours.learn(row, time: 0, state: &state)
        rows += 1
        guard rows > span else { return 0 }
        let begins = shape >= Tuning.Stream.onset && quiet <= 0 || rank >= Tuning.Stream.onset
        quiet = begins ? Tuning.Stream.adaptAfter : quiet - 1
        return Calibration.score(surprise: begins ? Tuning.Stream.onset + shape : StreamEnsemble.below(shape))
    }

    /// The surprise of a row that begins no alert: itself up to 2, one in a hundred, then ever nearer to 3 without a kink.
    static func below(_ surprise: Double) -> Double {
        surprise <= Tuning.Stream.onset - 1 ? surprise : Tuning.Stream.onset - 1 / (surprise - Tuning.Stream.onset + 2)
    }
}
