import PostgresClient
import UseCases

/// How far a table has been read: watermark and key of the row that was given last, as the database wrote them, and how far its rows without a place were.
///
/// Rows without a key are the last ones of their watermark, in no order: what counts is how many of them were given.
struct TablePlace: Equatable {
    private(set) var watermark: String?
    private var key = Key.text("")
    /// Of the rows without a watermark: the last key, and how many without a key either.
    private var unplacedKey: String?
    private var unplacedCount = 0
    private var isAtUnplaced = false

    private enum Key: Equatable {
        case text(String)
        /// So many without one.
        case none(Int)
    }

    /// Between the parts of a position, and before a count: signs that no number or time has.
    private static let separator: Character = "\u{1F}"
    private static let counted: Character = "\u{1E}"

    init() {}

    /// From a stored position.
    init(_ text: String) {
        let parts = text.split(separator: Self.separator, omittingEmptySubsequences: false)
        if parts.count >= 2, !(parts[0].isEmpty && parts[1].isEmpty) {
            watermark = String(parts[0])
            key = Int(parts[1].dropFirst()).flatMap { parts[1].first == Self.counted ? .none($0) : nil } ?? .text(String(parts[1]))
        }
        if parts.count == 4 {
            unplacedKey = parts[2].isEmpty ? nil : String(parts[2])
            unplacedCount = Int(parts[3]) ?? 0
        }
    }

    /// For the store.
    var text: String {
        guard watermark != nil || unplacedKey != nil || unplacedCount > 0 else { return "" }
        let keyText: String =
            switch key {
            case .text(let text): text
            case .none(let count): "\(Self.counted)\(count)"
            }
        let main = "\(watermark ?? "")\(Self.separator)\(keyText)"
        guard unplacedKey != nil || unplacedCount > 0 else { return main }
        return "\(main)\(Self.separator)\(unplacedKey ?? "")\(Self.separator)\(unplacedCount)"
    }

    /// Names the row that was given last.
    var id: String {
        if isAtUnplaced { return unplacedCount > 0 ? "null:null:\(unplacedCount)" : "null:\(unplacedKey ?? "")" }
        switch key {
        case .text(let text): return "\(watermark ?? ""):\(text)"
        case .none(let count): return "\(watermark ?? ""):null:\(count)"
        }
    }

    mutating func pass(_ watermark: String, _ key: String?) {
        isAtUnplaced = false
        if let key {
            self.key = .text(key)
        } else if case .none(let count) = self.key, watermark == self.watermark {
            self.key = .none(count + 1)
        } else {
            self.key = .none(1)
        }
        self.watermark = watermark
    }

    mutating func passUnplaced(_ key: String?) {
        isAtUnplaced = true
        if let key { unplacedKey = key } else { unplacedCount += 1 }
    }

    // MARK: SQL

    private static func select(_ table: PolledTable, _ columns: [String]) -> String {
        "SELECT \(columns.map { PostgresConnection.quoted($0) }.joined(separator: ", ")) FROM \(PostgresConnection.quoted(table: table.table)) WHERE "
    }

    /// What comes next, in order.
    func statement(_ table: PolledTable, columns: [String], mayKeyBeNull: Bool) -> (sql: String, parameters: [String]) {
        let (w, k) = (PostgresConnection.quoted(table.watermark), PostgresConnection.quoted(table.key))
        let isOne = table.watermark == table.key
        let order = " ORDER BY \(w)\(isOne ? "" : ", " + k) LIMIT \(table.batch)"
        let select = Self.select(table, columns)
        guard let watermark else { return (select + "\(w) IS NOT NULL" + order, []) }
        switch key {
        case _ where isOne: return (select + "\(w) > $1" + order, [watermark])
        case .text(let key) where mayKeyBeNull: return (select + "\(w) >= $1 AND (\(w) > $1 OR \(k) > $2 OR \(k) IS NULL)" + order, [watermark, key])
        case .text(let key): return (select + "(\(w), \(k)) > ($1, $2)" + order, [watermark, key])
        case .none(let count): return (select + "\(w) >= $1 AND (\(w) > $1 OR \(k) IS NULL)" + order + " OFFSET \(count)", [watermark])
        }
    }

    /// The rows without a watermark: by their keys, and then those without a key either.
    func unplacedStatements(_ table: PolledTable, columns: [String]) -> [(sql: String, parameters: [String])] {
        let (w, k) = (PostgresConnection.quoted(table.watermark), PostgresConnection.quoted(table.key))
        let select = Self.select(table, columns) + "\(w) IS NULL AND "
        let isPast = unplacedKey == nil ? "\(k) IS NOT NULL" : "\(k) > $1"
        let rest = (select + "\(k) IS NULL LIMIT \(table.batch) OFFSET \(unplacedCount)", [String]())
        guard table.watermark != table.key else { return [rest] }
        return [(select + isPast + " ORDER BY \(k) LIMIT \(table.batch)", unplacedKey.map { [$0] } ?? []), rest]
    }
}
