import Glibc
import Text

extension SplitMix64 {
    /// Standard normal, by Box and Muller.
    mutating func normal() -> Double { (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit()) }
}
