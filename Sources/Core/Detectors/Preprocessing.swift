/// How features are brought to a common scale.
public enum Scaling: String, Sendable, CaseIterable {
    /// Median 0, interquartile range 1.349 (as a normal variable with deviation 1 has); outliers in the training rows do not move it.
    case robust
    /// Mean 0, standard deviation 1.
    case standard
    /// As they are, centred on the median.
    case none
}

/// Which deviations of one feature count.
public struct FeaturePolicy: Sendable, Equatable {
    /// On which side of the expected value.
    public enum Direction: String, Sendable, CaseIterable { case both, up, down }

    public var feature: String
    public var direction: Direction
    /// Deviations from the training median up to this, in the feature's unit, count as none.
    public var minimumAbsolute: Double
    /// The same as a share of the training median's absolute value.
    public var minimumRelative: Double
    /// Values outside are anomalous whatever the detector says.
    public var validRange: ClosedRange<Double>?

    public init(
        feature: String, direction: Direction = .both, minimumAbsolute: Double = 0, minimumRelative: Double = 0,
        validRange: ClosedRange<Double>? = nil
    ) {
        self.feature = feature
        self.direction = direction
        self.minimumAbsolute = minimumAbsolute
        self.minimumRelative = minimumRelative
        self.validRange = validRange
    }
}

/// What happens to a row before any detector sees it: missing values take the training median, policies remove deviations that do not
/// count, and features are scaled. So NaN and infinities never reach a detector, and zero is the middle of every feature.
public struct Preprocessing: Sendable, Equatable {
    /// Per feature: what a missing value becomes, also the centre of policies.
    public let medians: [Double]
    /// Per feature: the value that becomes 0.
    public let centers: [Double]
    /// Per feature: what a raw difference is multiplied by. A constant feature has 1: its scaled value is its deviation in its own unit.
    public let factors: [Double]
    let policies: [CompiledPolicy]

    struct CompiledPolicy: Sendable, Equatable {
        let column: Int
        let direction: FeaturePolicy.Direction
        /// In the feature's unit; absolute and relative minimum joined.
        let minimum: Double
        let validRange: ClosedRange<Double>?
    }

    /// Scaled values lie within ± this, so that sums of squares stay finite whatever arrives.
    static let limit = 1e15

    /// Learns medians and scales from the numbers that are there. A feature with none at all has median 0.
    ///
    /// Throws `.parameter` for a policy about a feature that does not exist.
    public init(
        _ data: FeatureMatrix, featureNames: [String], scaling: Scaling, policies: [FeaturePolicy] = []
    ) throws(DetectorError) {
        var medians: [Double] = []
        var centers: [Double] = []
        var factors: [Double] = []
        for column in 0..<data.columns {
            let values = data.column(column).filter(\.isFinite).sorted()
            let middle = values.isEmpty ? 0 : quantile(sorted: values, 0.5)
            let (mean, deviation) = moments(values)
            var spread = 1.0
            var center = middle
            switch scaling {
            case .none: break
            case .standard:
                center = values.isEmpty ? 0 : mean
                spread = deviation
            case .robust:
                spread = values.isEmpty ? 0 : (quantile(sorted: values, 0.75) - quantile(sorted: values, 0.25)) / 1.349
                // More than half of the values are equal: the quartiles say nothing, the rest still has a scale.
                if spread <= abs(middle) * 1e-12 { spread = deviation }
            }
            medians.append(middle)
            centers.append(center)
            factors.append(spread.isFinite && spread > max(abs(center), 1e-280) * 1e-12 ? 1 / spread : 1)
        }
        var compiled: [CompiledPolicy] = []
        for policy in policies {
            guard let column = featureNames.firstIndex(of: policy.feature) else {
                throw DetectorError(
                    .parameter,
                    "The policy for `\(policy.feature)` names no feature of this model: it has \(featureNames.joined(separator: ", ")).")
            }
            compiled.append(
                CompiledPolicy(
                    column: column, direction: policy.direction,
                    minimum: max(policy.minimumAbsolute, policy.minimumRelative * abs(medians[column])), validRange: policy.validRange))
        }
        self.init(medians: medians, centers: centers, factors: factors, policies: compiled)
    }

    init(medians: [Double], centers: [Double], factors: [Double], policies: [CompiledPolicy]) {
        self.medians = medians
        self.centers = centers
        self.factors = factors
        self.policies = policies
    }

    public var columns: Int { medians.count }

    /// Scales whole rows from `[row × column]` into the start of `output`, which is at least as long.
    func apply(_ rows: Span<Double>, into output: inout MutableSpan<Double>) {
        scale(rows, into: &output)
        if !policies.isEmpty { applyPolicies(rows, into: &output) }
    }

    private func scale(_ rows: Span<Double>, into output: inout MutableSpan<Double>) {
        let columns = columns
        var column = 0
        for index in 0..<rows.count {
            let value = rows[unchecked: index]
            // A feature that is missing sits at its median; infinity counts as missing.
            let known = value.isFinite ? value : medians[column]
            let scaled = (known - centers[column]) * factors[column]
            output[unchecked: index] = min(max(scaled, -Preprocessing.limit), Preprocessing.limit)
            column += 1
            if column == columns { column = 0 }
        }
    }

    private func applyPolicies(_ rows: Span<Double>, into output: inout MutableSpan<Double>) {
        for policy in policies {
            let middle = medians[policy.column]
            let neutral = (middle - centers[policy.column]) * factors[policy.column]
            var index = policy.column
            while index < rows.count {
                let deviation = rows[unchecked: index] - middle
                let counts: Bool
                switch policy.direction {
                case .both: counts = abs(deviation) > policy.minimum
                case .up: counts = deviation > policy.minimum
                case .down: counts = -deviation > policy.minimum
                }
                if !counts { output[unchecked: index] = neutral }
                index += columns
            }
        }
    }

    /// Whether a raw row has a value outside the valid range of its feature. Missing values are not outside.
    func isOutsideRange(_ rows: Span<Double>, row: Int) -> Bool {
        for policy in policies {
            guard let range = policy.validRange else { continue }
            let value = rows[unchecked: row * columns + policy.column]
            if value < range.lowerBound || value > range.upperBound { return true }
        }
        return false
    }

    var hasRanges: Bool { policies.contains { $0.validRange != nil } }

    /// Scaled rows in a matrix of their own. A detector is fitted without policies: it must know the spread of what they would hide.
    func apply(_ data: FeatureMatrix, policies applied: Bool = true) -> FeatureMatrix {
        var values = [Double](repeating: 0, count: data.values.count)
        var output = values.mutableSpan
        scale(data.values.span, into: &output)
        if applied, !policies.isEmpty { applyPolicies(data.values.span, into: &output) }
        return FeatureMatrix(values: values, columns: data.columns)
    }

    /// A scaled value in the feature's own unit again.
    func restore(_ value: Double, column: Int) -> Double { value / factors[column] + centers[column] }

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(medians)
        writer.write(centers)
        writer.write(factors)
        writer.count(policies.count)
        for policy in policies {
            writer.write(UInt32(clamping: policy.column))
            writer.write(policy.direction.rawValue)
            writer.write(policy.minimum)
            writer.write(policy.validRange != nil)
            writer.write(policy.validRange?.lowerBound ?? 0)
            writer.write(policy.validRange?.upperBound ?? 0)
        }
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "preprocessing")
        let medians = try reader.doubles()
        let centers = try reader.finiteDoubles(count: medians.count)
        let factors = try reader.finiteDoubles(count: medians.count)
        guard !medians.isEmpty, medians.allSatisfy(\.isFinite), factors.allSatisfy({ $0 > 0 }) else {
            throw reader.damaged("a scale is not positive")
        }
        var policies: [CompiledPolicy] = []
        for _ in 0..<(try reader.uint32()) {
            let column = Int(try reader.uint32())
            let direction = FeaturePolicy.Direction(rawValue: try reader.text())
            let minimum = try reader.double()
            let bounded = try reader.flag()
            let low = try reader.double()
            let high = try reader.double()
            guard let direction, column < medians.count, !minimum.isNaN, !bounded || low <= high else {
                throw reader.damaged("a policy is out of range")
            }
            policies.append(CompiledPolicy(column: column, direction: direction, minimum: minimum, validRange: bounded ? low...high : nil))
        }
        self.init(medians: medians, centers: centers, factors: factors, policies: policies)
    }
}
