import Testing
import Text

@Suite struct RandomTests {
    /// The first numbers of the authors' own program (splitmix64.c by Vigna) for the seeds 0 and 1234567.
    @Test("a seed gives the published numbers")
    func published() {
        var zero = SplitMix64(seed: 0)
        #expect([zero.next(), zero.next()] == [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4])
        var other = SplitMix64(seed: 1_234_567)
        #expect((0..<3).map { _ in other.next() } == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    }

    @Test("streams of one seed, and neighbouring seeds, share no number")
    func streams() {
        var seen: Set<UInt64> = []
        for seed in 0..<10 as Range<UInt64> {
            for stream in 0..<10 as Range<UInt64> {
                var random = SplitMix64(seed: seed, stream: stream)
                for _ in 0..<100 { seen.insert(random.next()) }
            }
        }
        #expect(seen.count == 10_000)
        var again = SplitMix64(seed: 7, stream: 3)
        let first = again.next()
        again = SplitMix64(seed: 7, stream: 3)
        #expect(again.next() == first)
    }

    @Test("numbers fill their range and nothing beyond it")
    func ranges() {
        var random = SplitMix64(seed: 5)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 {
            let unit = random.unit()
            #expect(unit >= 0 && unit < 1)
            counts[random.below(7)] += 1
        }
        // Six standard deviations of a fair count: the seed is fixed, so this cannot fail by chance.
        #expect(counts.allSatisfy { abs($0 - 10_000) < 560 })
        #expect(random.below(1) == 0)
    }

    @Test("a sample has different indexes, and all of them where more are asked for than there are")
    func sample() {
        var random = SplitMix64(seed: 9)
        let some = random.sample(10, below: 1000)
        #expect(Set(some).count == 10 && some.allSatisfy { (0..<1000).contains($0) })
        #expect(random.sample(9, below: 4).sorted() == [0, 1, 2, 3])
        #expect(random.sample(3, below: 0).isEmpty)
    }
}
