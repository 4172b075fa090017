extension TrainedModel {
    /// The first bytes of every stored model.
    static let magic: [UInt8] = Array("VYUHAMDL".utf8)
    static let formatVersion: UInt32 = 2

    /// The model as bytes. Layout, all numbers little-endian, arrays and texts preceded by a 32-bit count:
    ///
    /// | part | bytes |
    /// |---|---|
    /// | magic | `VYUHAMDL` |
    /// | format version | u32 = 2 |
    /// | detector | its name, number of parameters; for each its name, a tag (0 integer, 1 number, 2 text, 3 flag, 4 list), the value |
    /// | feature names | array of texts |
    /// | preprocessing, calibration, reach, threshold, metadata | each opens with its own layout version, u8 |
    /// | detector state | opens with its own layout version, u8 |
    /// | checksum | CRC-32 of all bytes before it, u32 |
    public func encoded() -> [UInt8] {
        var writer = StateWriter()
        for byte in TrainedModel.magic { writer.write(byte) }
        writer.write(TrainedModel.formatVersion)
        writer.write(kind.rawValue)
        let values = parameters.values
        writer.count(values.count)
        for (name, value) in values {
            writer.write(name)
            value.encode(into: &writer)
        }
        writer.write(featureNames)
        preprocessing.encode(into: &writer)
        calibration.encode(into: &writer)
        reach.encode(into: &writer)
        threshold.encode(into: &writer)
        metadata.encode(into: &writer)
        detector.encode(into: &writer)
        let checksum = crc32(writer.bytes[...])
        writer.write(checksum)
        return writer.bytes
    }

    /// Reads what `encoded()` wrote.
    ///
    /// Throws `.state` for foreign, damaged or truncated bytes and for a later format; never traps and never allocates more than the bytes
    /// can hold.
    public init(decoding bytes: [UInt8]) throws(DetectorError) {
        guard bytes.count > TrainedModel.magic.count + 8, bytes.starts(with: TrainedModel.magic) else {
            throw DetectorError(.state, "These bytes are not a stored model: give a model that `trainer fit` has written.")
        }
        let end = bytes.count - 4
        var tail = StateReader(bytes, end..<bytes.count)
        var reader = StateReader(bytes, TrainedModel.magic.count..<end)
        let version = try reader.uint32()
        // Format 1, of version 0.1.0, has no reach.
        guard (1...TrainedModel.formatVersion).contains(version) else {
            throw DetectorError(
                .state,
                "The stored model has format \(version) not \(TrainedModel.formatVersion): train it anew or use a newer program."
            )
        }
        guard try tail.uint32() == crc32(bytes[..<end]) else { throw tail.damaged("the checksum differs") }
        let kind: DetectorKind
        var given: [String: ParameterValue] = [:]
        let name = try reader.text()
        guard let known = DetectorKind(rawValue: name) else {
            throw DetectorError(
                .state, "The stored model uses the detector `\(name)`, which this program does not have: use a newer program.")
        }
        kind = known
        for _ in 0..<(try reader.uint32()) {
            let name = try reader.text()
            given[name] = try ParameterValue(from: &reader)
        }
        let featureNames = try reader.texts()
        let preprocessing = try Preprocessing(from: &reader)
        let calibration = try Calibration(from: &reader)
        let reach = version < 2 ? Reach(unknownFor: preprocessing.columns) : try Reach(from: &reader)
        let threshold = try Threshold(from: &reader)
        let metadata = try ModelMetadata(from: &reader)
        let detector = try kind.type.init(from: &reader)
        try reader.finish()
        guard featureNames.count == preprocessing.columns, detector.columns == preprocessing.columns, reach.columns == preprocessing.columns
        else {
            throw reader.damaged("its parts differ in the number of features")
        }
        self.init(
            featureNames: featureNames, parameters: try DetectorParameters(for: kind, given: given), preprocessing: preprocessing,
            calibration: calibration, reach: reach, threshold: threshold, metadata: metadata, detector: detector)
    }
}

extension ParameterValue {
    func encode(into writer: inout StateWriter) {
        switch self {
        case .integer(let value):
            writer.write(UInt8(0))
            writer.write(Int64(value))
        case .number(let value):
            writer.write(UInt8(1))
            writer.write(value)
        case .text(let value):
            writer.write(UInt8(2))
            writer.write(value)
        case .flag(let value):
            writer.write(UInt8(3))
            writer.write(value)
        case .list(let values):
            writer.write(UInt8(4))
            writer.write(values)
        }
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        switch try reader.byte() {
        case 0: self = .integer(try reader.int(in: Int.min...Int.max))
        case 1: self = .number(try reader.finite())
        case 2: self = .text(try reader.text())
        case 3: self = .flag(try reader.flag())
        case 4: self = .list(try reader.texts())
        default: throw reader.damaged("a parameter's type is unknown")
        }
    }
}
