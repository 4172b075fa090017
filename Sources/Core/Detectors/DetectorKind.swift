import Text

/// Every detector, by its name on the command line and in `usecase.yaml`. A new one is one case here and one line in `type`.
public enum DetectorKind: String, CaseIterable, Sendable {
    case isolationForest = "isolation-forest"
    case lof
    case ocsvm
    case robustZ = "robust-z"
    case pca
    case ewma
    case halfSpaceTrees = "half-space-trees"
    case randomCutForest = "random-cut-forest"
    case kmeans
    case spectralResidual = "spectral-residual"
    case seasonal
    case conformalNeighbours = "conformal-neighbours"
    case ensemble

    /// The implementation.
    public var type: any Detector.Type {
        switch self {
        case .isolationForest: IsolationForest.self
        case .lof: LocalOutlierFactor.self
        case .ocsvm: OneClassSVM.self
        case .robustZ: RobustZ.self
        case .pca: PrincipalComponents.self
        case .ewma: ExponentialAverage.self
        case .halfSpaceTrees: HalfSpaceTrees.self
        case .randomCutForest: RandomCutForest.self
        case .kmeans: SubsequenceMeans.self
        case .spectralResidual: SpectralResidual.self
        case .seasonal: Seasonal.self
        case .conformalNeighbours: ConformalNeighbours.self
        case .ensemble: Ensemble.self
        }
    }

    /// The kind of that name; throws `.parameter` naming the known ones.
    public init(named name: String) throws(DetectorError) {
        guard let kind = DetectorKind(rawValue: name) else {
            let names = DetectorKind.allCases.map(\.rawValue)
            let hint = Nearest.name(to: name, in: names).map { "did you mean `\($0)`?" } ?? "choose one of \(names.joined(separator: ", "))."
            throw DetectorError(.parameter, "There is no detector `\(name)`: \(hint)")
        }
        self = kind
    }

    public var card: DetectorCard { type.card }
    public var parameterSpecs: [ParameterSpec] { type.card.parameters }
    public var summary: String { type.card.summary }

    /// Whether it goes on learning from the rows that it scores.
    public var isStreaming: Bool { type is any StreamingDetector.Type }

    /// Whose rows one state takes in; nothing remembers across entities where there is no state.
    public var scope: StateScope { (type as? any StreamingDetector.Type)?.scope ?? .entity }
}
