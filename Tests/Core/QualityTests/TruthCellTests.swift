import Quality
import Testing

@Suite struct TruthCellTests {
    private func read(_ text: String) -> Bool? {
        let bytes = Array((">" + text + "<").utf8)
        return TruthCell.read(bytes, 1..<bytes.count - 1)
    }

    @Test(arguments: ["1", "1.0", "1.", "1.000", "true", "True", "TRUE", "yes", "Y", "t", "on", " true ", "\t1"])
    func `a cell that a person takes for yes is yes`(text: String) { #expect(read(text) == true) }

    @Test(arguments: ["", " ", "0", "0.0", "0.000", "false", "False", "FALSE", "no", "No", "n", "f", "off", "  0.0"])
    func `a cell that a person takes for no is no`(text: String) { #expect(read(text) == false) }

    @Test(arguments: ["2", "10844", "0.5", "1.5", "-1", "00", "01", "1e0", "nan", "maybe", "normal", "tru", "yess", "0,0", "1.0.0", "\u{1}rue"])
    func `anything else is neither`(text: String) { #expect(read(text) == nil) }
}
