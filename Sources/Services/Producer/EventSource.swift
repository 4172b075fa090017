import Contracts

/// What became of a source's next row.
enum SourceRow: Equatable {
    /// A row whose columns can become an event.
    case event
    /// A row that cannot: why, and a sentence for a person.
    case unmappable(DeadLetterReason, String)
    /// No row for now: there may be one later. Nothing but `next()` may be asked.
    case idle
}

/// Ground truth about one row. Never part of the event.
struct Truth: Equatable {
    var isAnomaly = false
    /// The row must not be judged, such as a real record that is odd by itself.
    var ignore = false
    var kind = ""
    /// Of the episode that the row is part of, milliseconds; nil for a row that is one by itself.
    var start: Int64?
    var end: Int64?
    /// What is wrong with the source's own word about the row, with line and column; the row is then ignored.
    var problem: String?

    /// Whether there is anything to say on the labels topic.
    var isNotable: Bool { isAnomaly || ignore }
}

/// How far a source has been read: enough to go on behind the last row.
struct SourcePosition: Equatable, Sendable {
    /// Rows taken from the beginning of the source, over all passes.
    var events: Int64 = 0
    /// The pass over a file, from 1.
    var pass = 1
    /// The line on which the last row began; 0 before the first.
    var line = 0
    /// Event time of a simulation's first event, or when a folder was last looked through, milliseconds; 0 for other sources.
    var start: Int64 = 0
    /// What a source needs beyond that: a file's name, an API's cursor, a watermark.
    var cursor = ""
}

/// A stream of rows: columns of text, an identity, and what is known about their truth. One owner thread.
///
/// `next()` moves to the next row; everything else describes that row until the following `next()`.
protocol EventSource: AnyObject {
    /// Names the source in ids, in the key of its position and in logs: a file's name, or simulator and seed.
    var name: String { get }
    /// False for a source that cannot be read again, such as standard input.
    var canResume: Bool { get }
    /// The names of the columns.
    var header: [String] { get }
    /// Per field of the schema the column that feeds it, or -1.
    var columns: [Int] { get }

    func next() throws -> SourceRow?

    /// The row's columns are ranges of `bytes`.
    var bytes: [UInt8] { get }
    var fields: [Range<Int>] { get }
    /// The row as it came, for the dead-letter topic.
    var raw: ArraySlice<UInt8> { get }
    /// UTF-8; the same row has the same id in every run.
    var id: [UInt8] { get }
    /// The record's key, UTF-8; empty when the row names no entity.
    var entity: [UInt8] { get }
    /// Milliseconds; that of an earlier row when this one has no usable time.
    var eventTime: Int64 { get }
    var truth: Truth { get }

    /// Where the current row stands.
    var position: SourcePosition { get }
    /// Goes on behind a position that this source had in an earlier run.
    func resume(at position: SourcePosition) throws
    /// The share of the source that has been read, 0...1; nil where it has no end.
    var fraction: Double? { get }
}
