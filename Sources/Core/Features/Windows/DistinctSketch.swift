import Glibc

/// A mergeable count of different values: exact up to 128, then HyperLogLog with a standard error of about 2.3 %.
///
/// Flajolet, Fusy, Gandouet, Meunier: "HyperLogLog", 2007; 2048 registers, 64-bit hashes (so no correction for large counts), linear
/// counting for small ones.
struct DistinctSketch: Equatable {
    static let exactLimit = 128
    private static let precision: UInt64 = 11
    private static let registerCount = 1 << 11

    /// Hashes in ascending order while there are few.
    private(set) var exact: [UInt64] = []
    /// Empty while there are few.
    private(set) var registers: [UInt8] = []

    init() {}

    /// From the parts of a snapshot; nil when they are inconsistent.
    init?(exact: [UInt64], registers: [UInt8]) {
        guard registers.isEmpty ? exact.count <= Self.exactLimit : registers.count == Self.registerCount && exact.isEmpty,
            zip(exact, exact.dropFirst()).allSatisfy({ $0 < $1 }), registers.allSatisfy({ $0 <= 64 })
        else { return nil }
        self.exact = exact
        self.registers = registers
    }

    private static func hash(_ value: Double) -> UInt64 {
        TextHash.mix((value + 0).bitPattern ^ 0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93) ^ (value + 0).bitPattern.byteSwapped
    }

    mutating func add(_ value: Double) {
        // A second round spreads the byte-swapped half.
        let hash = TextHash.mix(Self.hash(value), 0xA076_1D64_78BD_642F)
        add(hash: hash)
    }

    private mutating func add(hash: UInt64) {
        guard registers.isEmpty else {
            note(hash)
            return
        }
        var low = 0
        var high = exact.count
        while low < high {
            let middle = (low + high) / 2
            if exact[middle] < hash { low = middle + 1 } else { high = middle }
        }
        if low < exact.count, exact[low] == hash { return }
        exact.insert(hash, at: low)
        if exact.count > Self.exactLimit {
            registers = Array(repeating: 0, count: Self.registerCount)
            for hash in exact { note(hash) }
            exact = []
        }
    }

    private mutating func note(_ hash: UInt64) {
        let register = Int(hash >> (64 - Self.precision))
        let rank = UInt8(min((hash << Self.precision).leadingZeroBitCount, 64 - Int(Self.precision)) + 1)
        if rank > registers[register] { registers[register] = rank }
    }

    mutating func merge(_ other: DistinctSketch) {
        if other.registers.isEmpty {
            for hash in other.exact { add(hash: hash) }
        } else if registers.isEmpty {
            let few = exact
            registers = other.registers
            exact = []
            for hash in few { note(hash) }
        } else {
            for i in registers.indices where other.registers[i] > registers[i] { registers[i] = other.registers[i] }
        }
    }

    /// How many different values there were.
    var count: Double {
        guard !registers.isEmpty else { return Double(exact.count) }
        var sum = 0.0
        var zeros = 0
        for rank in registers {
            sum += Double(sign: .plus, exponent: -Int(rank), significand: 1)
            if rank == 0 { zeros += 1 }
        }
        let m = Double(Self.registerCount)
        let estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum
        return (estimate <= 2.5 * m && zeros > 0 ? m * log(m / Double(zeros)) : estimate).rounded()
    }

    mutating func removeAll() {
        exact = []
        registers = []
    }
}
