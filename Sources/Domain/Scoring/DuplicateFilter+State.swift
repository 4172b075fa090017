import Contracts
import Detectors

/// As part of a partition's snapshot: three numbers. The scorer's feature records all say their place, and it takes the clock's as they come.
extension DuplicateFilter {
    func write(into writer: inout StateWriter) { writer.write([offset, sequence ?? 0, producedAt]) }

    /// Takes in what `write` wrote.
    mutating func read(from reader: inout StateReader) throws(DetectorError) {
        let place = try reader.int64s()
        guard place.count == 3 else { throw reader.damaged("the newest record's place is not whole") }
        self = DuplicateFilter(offset: place[0], sequence: place[1], producedAt: place[2])
    }
}
