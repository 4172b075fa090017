/// One aggregate of a window set.
struct WindowAggregate: Hashable, Sendable {
    var kind: Aggregate
    /// Position in the program's columns; -1 to count events.
    var column: Int
    /// Of a quantile.
    var parameter: Double
}

/// The code of one window set that runs once for each window of an entity, and what the panes must gather for it.
final class WindowProgram: Sendable {
    /// Milliseconds.
    let length: Int64
    let slide: Int64
    /// Registers of the event program whose values the aggregates take.
    let columns: [Int]
    let aggregates: [WindowAggregate]
    /// Where the aggregates' results belong.
    let targets: [Int]
    let template: [Double]
    let code: [Instruction]
    let zones: [TimeZoneRules]
    /// Registers of the features, in order.
    let outputs: [Int]

    init(
        _ code: CodeBuilder, length: Int64, slide: Int64, columns: [Int], aggregates: [WindowAggregate], targets: [Int], outputs: [Int]
    ) {
        self.length = length
        self.slide = slide
        self.columns = columns
        self.aggregates = aggregates
        self.targets = targets
        template = code.template
        self.code = code.early + code.late
        zones = code.zones
        self.outputs = outputs
    }
}

final class WindowProgramBuilder {
    static let startRegister = 0
    static let endRegister = 1

    let code = CodeBuilder(inputs: 2)
    private let length: Int64
    private let slide: Int64
    private var columns: [Int] = []
    private var aggregates: [WindowAggregate] = []
    private var targets: [Int] = []

    init(length: Int64, slide: Int64) {
        self.length = length
        self.slide = slide
    }

    /// The register that will hold an aggregate over a register of the event program.
    func aggregate(_ kind: Aggregate, _ register: Int?, _ parameter: Double) -> Int {
        var column = -1
        if let register {
            if let known = columns.firstIndex(of: register) {
                column = known
            } else {
                column = columns.count
                columns.append(register)
            }
        }
        let aggregate = WindowAggregate(kind: kind, column: column, parameter: kind == .quantile ? parameter : 0.5)
        if let known = aggregates.firstIndex(of: aggregate) { return targets[known] }
        aggregates.append(aggregate)
        targets.append(code.input())
        return targets[targets.count - 1]
    }

    func build(outputs: [Int]) -> WindowProgram {
        WindowProgram(
            code, length: length, slide: slide, columns: columns, aggregates: aggregates, targets: targets, outputs: outputs)
    }
}
