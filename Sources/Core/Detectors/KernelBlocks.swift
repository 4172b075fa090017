import Glibc

/// Points in blocks of eight, column by column, so that a Gaussian kernel against one point is computed for eight at a time.
struct KernelBlocks: Sendable {
    let columns: Int
    let count: Int
    /// `[block × column × 8]`; the last block is filled up with points at infinity's doorstep, whose kernel is zero.
    let values: [Float]
    /// exp(-gamma × squared distance).
    let gamma: Float

    static let far: Float = 1e18

    init(_ data: FeatureMatrix, gamma: Double) {
        columns = data.columns
        count = data.rows
        self.gamma = Float(gamma)
        let blocks = (data.rows + 7) / 8
        var values = [Float](repeating: KernelBlocks.far, count: blocks * data.columns * 8)
        for row in 0..<data.rows {
            for column in 0..<data.columns {
                values[(row / 8 * data.columns + column) * 8 + row % 8] = Float(data.values[row * data.columns + column])
            }
        }
        self.values = values
    }

    var blocks: Int { (count + 7) / 8 }

    /// The kernel of every point with `query` (`columns` floats), eight at a time: `body` gets the block's number and its values.
    @inline(__always)
    func each(_ query: UnsafePointer<Float>, _ body: (Int, SIMD8<Float>) -> Void) {
        values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            for block in 0..<blocks {
                var distance = SIMD8<Float>(repeating: 0)
                let start = base + block * columns * 8
                for column in 0..<columns {
                    let difference = UnsafeRawPointer(start + column * 8).loadUnaligned(as: SIMD8<Float>.self) - query[column]
                    distance += difference * difference
                }
                body(block, KernelBlocks.exponential(distance * -gamma))
            }
        }
    }

    /// Sum of `weights × kernel`; `weights` has eight entries for each block.
    func weightedSum(_ query: UnsafePointer<Float>, _ weights: UnsafePointer<Float>) -> Double {
        var sum = SIMD8<Float>(repeating: 0)
        each(query) { block, kernel in sum += UnsafeRawPointer(weights + block * 8).loadUnaligned(as: SIMD8<Float>.self) * kernel }
        return Double(sum.sum())
    }

    /// e^x for x ≤ 0, relative error below 2 × 10^-7: x is split into a power of two and a rest within ±ln 2 / 2, for which a polynomial
    /// serves (Cody and Waite 1980). Below -87 the result is zero to single precision.
    @inline(__always)
    static func exponential(_ x: SIMD8<Float>) -> SIMD8<Float> {
        let clamped = x.replacing(with: -87, where: x .< -87)
        // Adding 1.5 × 2^23 rounds to a whole number and leaves it in the low bits; converting lane by lane would cost more than all the rest.
        let shifted = clamped * 1.4426950408889634 + 12582912
        let whole = shifted - 12582912
        let rest = (clamped - whole * 0.693359375) - whole * -2.12194440e-4
        var sum = SIMD8<Float>(repeating: 1.9875691500e-4)
        sum = sum * rest + 1.3981999507e-3
        sum = sum * rest + 8.3334519073e-3
        sum = sum * rest + 4.1665795894e-2
        sum = sum * rest + 1.6666665459e-1
        sum = sum * rest + 5.0000001201e-1
        sum = sum * rest * rest + rest + 1
        let exponent = (unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- (0x4B40_0000 - 127)) &<< 23
        return sum * unsafeBitCast(exponent, to: SIMD8<Float>.self)
    }
}
