/// A column as a file's schema describes it. Leaves of structures are columns of their own, with a point in the name: `sensor.value`.
public struct ParquetField: Sendable, Equatable {
    public let name: String
    public let kind: ParquetKind
    /// Whether a row may be without a value.
    public let isOptional: Bool

    public init(_ name: String, _ kind: ParquetKind, isOptional: Bool = false) {
        self.name = name
        self.kind = kind
        self.isOptional = isOptional
    }
}

/// A leaf of the schema's tree and how it is stored.
struct Leaf: Sendable {
    let field: ParquetField
    let physical: PhysicalType
    /// Of fixed byte strings.
    let length: Int
    /// The level that says that the value is there; 0 when it always is.
    let maximumDefinition: Int
    /// In a list or map: several values per row, which this reader does not give.
    let isRepeated: Bool
    let isHalfFloat: Bool
    let bitsUnsigned: Bool
}

enum SchemaTree {
    private static let maximumDepth = 32

    /// The leaves in the order of the file's columns.
    static func leaves(_ elements: [ThriftValue]) throws -> [Leaf] {
        guard let root = elements.first, let children = root[5]?.integer, children >= 0 else { throw ParquetError.damaged("The file has no schema.") }
        var leaves: [Leaf] = []
        var next = 1
        try visit(elements, &next, children, [], 0, false, &leaves)
        guard next == elements.count else { throw ParquetError.damaged("The schema's tree does not hold all of its elements.") }
        return leaves
    }

    private static func visit(
        _ elements: [ThriftValue], _ next: inout Int, _ count: Int, _ path: [String], _ definition: Int, _ repeated: Bool, _ leaves: inout [Leaf]
    ) throws {
        guard path.count < maximumDepth else { throw ParquetError.damaged("The schema is nested too deep.") }
        guard count <= elements.count - next else { throw ParquetError.damaged("The schema ends early.") }
        for _ in 0..<count {
            guard next < elements.count else { throw ParquetError.damaged("The schema ends early.") }
            let element = elements[next]
            next += 1
            let names = path + [element[4]?.text ?? ""]
            let repetition = element[3]?.integer ?? 0
            let level = definition + (repetition == 0 ? 0 : 1)
            let several = repeated || repetition == 2
            if let children = element[5]?.integer, children > 0 {
                try visit(elements, &next, children, names, level, several, &leaves)
                continue
            }
            guard let type = element[1]?.integer, let physical = PhysicalType(rawValue: type) else {
                throw ParquetError.damaged("Column `\(names.joined(separator: "."))` has no type.")
            }
            let length = element[2]?.integer ?? 0
            guard physical != .fixedBytes || (1...(1 << 20)).contains(length) else {
                throw ParquetError.damaged("Column `\(names.joined(separator: "."))` has fixed byte strings of \(length) bytes.")
            }
            let kind = try ParquetKind(element, physical)
            guard element[10]?[15] == nil || length == 2 else { throw ParquetError.damaged("A 16-bit float has \(length) bytes.") }
            leaves.append(
                Leaf(
                    field: ParquetField(names.joined(separator: "."), kind, isOptional: level > 0), physical: physical, length: length,
                    maximumDefinition: level, isRepeated: several, isHalfFloat: physical == .fixedBytes && kind == .float,
                    bitsUnsigned: physical == .int32 && kind == .integer(signed: false)))
        }
    }
}
