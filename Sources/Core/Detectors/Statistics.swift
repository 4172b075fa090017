/// The value at `share` (0...1) of sorted numbers, linear between neighbours; NaN where there are none.
func quantile(sorted values: [Double], _ share: Double) -> Double {
    guard let last = values.indices.last else { return .nan }
    let position = min(max(share, 0), 1) * Double(last)
    let low = Int(position)
    guard low < last else { return values[last] }
    return values[low] + (position - Double(low)) * (values[low + 1] - values[low])
}

/// The median of any numbers; NaN where there are none.
func median(_ values: [Double]) -> Double { quantile(sorted: values.sorted(), 0.5) }

/// Mean and standard deviation (of the population), two passes.
func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
    guard !values.isEmpty else { return (.nan, .nan) }
    let mean = values.reduce(0, +) / Double(values.count)
    let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    return (mean, square.squareRoot())
}
