import Contracts
import ServiceKit

/// Writes each alert as one line of the service's log, at level `warning`.
final class LogReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "log", isWanted: { _ in true }) { _, service in LogReceiver(service.log) }

    let name = "log"
    private let log: Logger

    init(_ log: Logger) { self.log = log }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        log.warning(
            "alert",
            [
                "id": alert.id, "raised_by": alert.raisedBy, "event": alert.event, "severity": alert.severity, "entity": alert.anomaly.entity,
                "title": alert.title,
                "text": alert.text, "score": alert.anomaly.score,
                "anomalies": alert.anomalies, "suppressed": alert.suppressed,
            ])
    }

    func close() {}
}
