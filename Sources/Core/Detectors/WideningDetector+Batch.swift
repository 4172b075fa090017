extension WideningDetector {
    /// Raw scores of the wanted rows, each in the light of those before it in its sequence: all are widened, and only the wanted scored.
    func scores(of wanted: [Int], in data: FeatureMatrix, sequences: [[Int]]) -> [Double] {
        let (columns, width) = (data.columns, wideColumns)
        var places = [Int](repeating: wanted.count, count: data.rows)
        for (place, row) in wanted.enumerated() { places[row] = place }
        // One place more, for rows that only make history.
        var wide = [Double](repeating: 0, count: (wanted.count + 1) * width)
        var output = wide.mutableSpan
        for sequence in sequences {
            var state = makeState()
            for row in sequence {
                var place = output._mutatingExtracting(places[row] * width..<(places[row] + 1) * width)
                widen(data.values.span.extracting(row * columns..<(row + 1) * columns), state: &state, into: &place)
            }
        }
        var scores = [Double](repeating: 0, count: wanted.count)
        var scratch = ScoringScratch()
        var results = scores.mutableSpan
        scoreWide(wide.span.extracting(first: wanted.count * width), into: &results, scratch: &scratch)
        return scores
    }
}
