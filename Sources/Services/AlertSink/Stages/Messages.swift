import Alerting
import AlertStore

/// From the decisions to the outboxes: words for each message, and the receivers that exist of those that the route names.
struct Messages: Sendable {
    /// They record everything that is told to anybody.
    private static let always: Set<String> = ["log", "topic"]

    let text: AlertText
    /// Names, in the order of the store.
    let receivers: [String]

    func outgoing(_ notices: [Notice]) -> [OutgoingAlert] {
        notices.compactMap { notice in
            text.record(notice).map { OutgoingAlert(record: $0.json, notice: notice, receivers: indexes(notice.to)) }
        }
    }

    private func indexes(_ names: [String]) -> [Int] {
        if names.isEmpty { return [] }
        let isForAll = names.contains(AlertEngine.everyone)
        return receivers.indices.filter { isForAll || names.contains(receivers[$0]) || Self.always.contains(receivers[$0]) }
    }
}
