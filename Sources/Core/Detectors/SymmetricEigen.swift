import Glibc

/// Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, section 8.5), largest value first.
/// Accurate for small eigenvalues too, which is what whitening needs; cost about 10 × n³.
struct SymmetricEigen {
    /// Largest first.
    let values: [Double]
    /// `[value × component]`: row `k` is the unit eigenvector of `values[k]`.
    let vectors: [Double]

    /// `matrix` is `[n × n]`, symmetric and finite.
    init(_ matrix: [Double], order n: Int) {
        var a = matrix
        var v = [Double](repeating: 0, count: n * n)
        for index in 0..<n { v[index * n + index] = 1 }
        for _ in 0..<30 {
            var off = 0.0
            var diagonal = 0.0
            for row in 0..<n {
                diagonal += a[row * n + row] * a[row * n + row]
                for column in row + 1..<max(n, row + 1) { off += a[row * n + column] * a[row * n + column] }
            }
            guard off > 1e-26 * max(diagonal, 1e-300) else { break }
            a.withUnsafeMutableBufferPointer { a in
                v.withUnsafeMutableBufferPointer { v in
                    for p in 0..<n - 1 {
                        for q in p + 1..<n { SymmetricEigen.rotate(a, v, n, p, q) }
                    }
                }
            }
        }
        let order = (0..<n).sorted { a[$0 * n + $0] > a[$1 * n + $1] }
        values = order.map { a[$0 * n + $0] }
        vectors = order.flatMap { row in v[row * n..<(row + 1) * n] }
    }

    /// Makes element (p, q) zero; `v` collects the rotations in its rows.
    private static func rotate(
        _ a: UnsafeMutableBufferPointer<Double>, _ v: UnsafeMutableBufferPointer<Double>, _ n: Int, _ p: Int, _ q: Int
    ) {
        let apq = a[p * n + q]
        guard abs(apq) > 1e-300 else { return }
        let theta = (a[q * n + q] - a[p * n + p]) / (2 * apq)
        let t = (theta >= 0 ? 1.0 : -1.0) / (abs(theta) + (theta * theta + 1).squareRoot())
        let c = 1 / (t * t + 1).squareRoot()
        let s = t * c
        for k in 0..<n {
            let kp = a[k * n + p]
            let kq = a[k * n + q]
            a[k * n + p] = c * kp - s * kq
            a[k * n + q] = s * kp + c * kq
        }
        for k in 0..<n {
            let pk = a[p * n + k]
            let qk = a[q * n + k]
            a[p * n + k] = c * pk - s * qk
            a[q * n + k] = s * pk + c * qk
        }
        for k in 0..<n {
            let pk = v[p * n + k]
            let qk = v[q * n + k]
            v[p * n + k] = c * pk - s * qk
            v[q * n + k] = s * pk + c * qk
        }
    }
}
