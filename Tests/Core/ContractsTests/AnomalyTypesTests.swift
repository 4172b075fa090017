import Contracts
import Testing

@Suite("The type of an anomaly")
struct AnomalyTypesTests {
    private let types = AnomalyTypes(
        [AnomalyType(name: "spike", features: ["jump", "range"]), AnomalyType(name: "drift", features: ["slope"])],
        features: ["slope", "other", "jump", "range"])

    private func name(_ contributions: [Double]) -> String? { types.name(contributions).map { String(decoding: $0, as: UTF8.self) } }

    @Test("is that of the features which hold the largest share of the explanation together, whatever their signs")
    func largestShare() {
        #expect(name([0.4, 0, -0.3, 0.3]) == "\"spike\"")
        #expect(name([-0.5, 0.1, 0.2, -0.2]) == "\"drift\"")
    }

    @Test("is the one that is named first where two hold the same")
    func equal() { #expect(name([0.5, 0, 0.5, 0]) == "\"spike\"") }

    @Test("is not known where no feature of a type had a part")
    func none() {
        #expect(name([0, 1, 0, 0]) == nil)
        #expect(name([.nan, 1, .nan, 0]) == nil)
        #expect(AnomalyTypes([], features: ["slope"]).name([1]) == nil)
    }
}
