import Detectors

/// Recognises feature records of one partition that a stream processor sends again after a crash: they must not teach a model twice, and
/// what they say about the past must not end an anomaly that began since.
///
/// Whoever owns a partition begins at an offset below which everything is on the topic, and sends the rest in order, without gaps (the
/// producer is idempotent). So of every record the first copy comes in order of its place, (`offset`, `sequence`), whatever former owners
/// still send meanwhile: what is not above the newest place is a copy. The records of a decision of the clock share one place; more of
/// them may come until the next event does.
struct DuplicateFilter {
    private var offset: Int64 = -1
    private var sequence: Int64 = 0
    /// Newest Kafka timestamp of an event.
    private var producedAt: Int64 = .min

    /// Whether a record was there before. One that was not is remembered as the newest.
    ///
    /// An event below the newest place that is younger than all before it is no copy: its topic was deleted and made again, and counts anew.
    mutating func contains(offset: Int64, sequence: Int64, producedAt: Int64) -> Bool {
        let isClocks = sequence < 0
        let isAbove = (offset, sequence) > (self.offset, self.sequence)
        let isSameDecision = isClocks && (offset, sequence) == (self.offset, self.sequence)
        let isOfNewTopic = !isClocks && producedAt > self.producedAt
        guard isAbove || isSameDecision || isOfNewTopic else { return true }
        (self.offset, self.sequence) = (offset, sequence)
        if !isClocks { self.producedAt = max(self.producedAt, producedAt) }
        return false
    }

    func write(into writer: inout StateWriter) { writer.write([offset, sequence, producedAt]) }

    /// Takes in what `write` wrote.
    mutating func read(from reader: inout StateReader) throws(DetectorError) {
        let place = try reader.int64s()
        guard place.count == 3 else { throw reader.damaged("the newest record's place is not whole") }
        (offset, sequence, producedAt) = (place[0], place[1], place[2])
    }
}
