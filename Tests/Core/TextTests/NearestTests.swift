import Testing

@testable import Text

@Suite struct NearestTests {
    private let names = ["threshold", "entity", "time", "detector"]

    @Test(
        "a mistyped name has a nearest one, and another word has none",
        arguments: [
            ("treshold", "threshold"), ("thrsehold", "threshold"), ("THRESHOLD", "threshold"), ("entiti", "entity"), ("tmie", "time"),
            ("detektors", "detector"), ("tim", "time"), ("dates", nil), ("x", nil), ("", nil), ("thresholdsxx", "threshold"),
            ("thresholdsxxxx", nil), (String(repeating: "t", count: 101), nil),
        ] as [(String, String?)])
    func nearest(word: String, name: String?) { #expect(Nearest.name(to: word, in: names) == name) }

    @Test("the first of equals wins, and the sentence names it")
    func equals() {
        #expect(Nearest.name(to: "bat", in: ["cat", "rat"]) == "cat")
        #expect(Nearest.sentence("bat", in: ["cat", "rat"]) == " Did you mean `cat`?")
        #expect(Nearest.sentence("zebra", in: ["cat", "rat"]) == "")
    }

    @Test("letters count, not their bytes")
    func letters() { #expect(Nearest.name(to: "größe", in: ["grösse", "grüße"]) == "grüße") }

    @Test(
        "each edit costs one",
        arguments: [("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "abd", 1), ("abc", "acb", 1), ("ca", "abc", 3), ("kitten", "sitting", 3)])
    func distance(a: String, b: String, edits: Int) {
        #expect(Nearest.distance(Array(a), Array(b)) == edits)
        #expect(Nearest.distance(Array(b), Array(a)) == edits)
    }
}
