/// Numbers in rows of equal width, row-major in one flat array. Missing values are NaN.
public struct FeatureMatrix: Sendable, Equatable {
    /// The numbers, shape `[row × column]`.
    public var values: [Double]
    /// Numbers in a row; at least one.
    public let columns: Int

    /// Complete rows held.
    public var rows: Int { values.count / columns }

    /// No rows yet, with room for `reservingRows`.
    public init(columns: Int, reservingRows: Int = 0) {
        precondition(columns > 0, "a matrix has at least one column")
        self.columns = columns
        values = []
        values.reserveCapacity(columns * reservingRows)
    }

    /// Takes a flat array whose length is a multiple of `columns`.
    public init(values: [Double], columns: Int) {
        precondition(columns > 0 && values.count.isMultiple(of: columns), "a matrix is made of whole rows")
        self.columns = columns
        self.values = values
    }

    /// Takes rows of equal width; at least one row.
    public init(rows: [[Double]]) {
        self.init(columns: rows.first?.count ?? 1, reservingRows: rows.count)
        for row in rows { append(row) }
    }

    /// Adds one row of exactly `columns` numbers.
    public mutating func append(_ row: [Double]) {
        precondition(row.count == columns, "a row has as many numbers as the matrix has columns")
        values.append(contentsOf: row)
    }

    /// Adds the rows of another matrix of the same width.
    public mutating func append(contentsOf other: FeatureMatrix) {
        precondition(other.columns == columns, "matrices of the same width are joined")
        values.append(contentsOf: other.values)
    }

    public subscript(row: Int, column: Int) -> Double {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    /// A copy of one row.
    public func row(_ index: Int) -> [Double] { Array(values[index * columns..<(index + 1) * columns]) }

    /// A copy of one column.
    public func column(_ index: Int) -> [Double] { (0..<rows).map { values[$0 * columns + index] } }

    /// The rows of a range, in order.
    public func selecting(rows range: Range<Int>) -> FeatureMatrix {
        FeatureMatrix(values: Array(values[range.lowerBound * columns..<range.upperBound * columns]), columns: columns)
    }

    /// The named rows, in the order given.
    public func selecting(rows indexes: [Int]) -> FeatureMatrix {
        var result = FeatureMatrix(columns: columns, reservingRows: indexes.count)
        for index in indexes { result.values.append(contentsOf: values[index * columns..<(index + 1) * columns]) }
        return result
    }

    /// The named columns, in the order given; at least one.
    public func selecting(columns indexes: [Int]) -> FeatureMatrix {
        var result = FeatureMatrix(columns: indexes.count, reservingRows: rows)
        for row in 0..<rows {
            for column in indexes { result.values.append(values[row * columns + column]) }
        }
        return result
    }
}
