/// The lower Cholesky factor of a symmetric positive definite `[n × n]` matrix (Golub and Van Loan, section 4.2), or nil where it is not
/// one to within rounding.
func choleskyFactor(_ matrix: [Double], order n: Int) -> [Double]? {
    var factor = [Double](repeating: 0, count: n * n)
    for row in 0..<n {
        for column in 0...row {
            var sum = matrix[row * n + column]
            for k in 0..<column { sum -= factor[row * n + k] * factor[column * n + k] }
            if row == column {
                guard sum > 1e-14 * matrix[row * n + row], sum.isFinite else { return nil }
                factor[row * n + row] = sum.squareRoot()
            } else {
                factor[row * n + column] = sum / factor[column * n + column]
            }
        }
    }
    return factor
}

/// The inverse of a lower triangular `[n × n]` matrix with a positive diagonal.
func lowerInverse(_ factor: [Double], order n: Int) -> [Double] {
    var inverse = [Double](repeating: 0, count: n * n)
    for column in 0..<n {
        inverse[column * n + column] = 1 / factor[column * n + column]
        for row in column + 1..<max(n, column + 1) {
            var sum = 0.0
            for k in column..<row { sum -= factor[row * n + k] * inverse[k * n + column] }
            inverse[row * n + column] = sum / factor[row * n + row]
        }
    }
    return inverse
}
