import Contracts
import ServiceKit

/// Why a receiver did not take an alert, and what that means for the next attempt.
struct DeliveryFailure: Error, Equatable {
    enum Kind: Equatable {
        /// It cannot be reached: every alert would fail.
        case away
        /// It answered that it cannot take anything now: this alert waits, and so does the receiver.
        case overloaded
        /// It does not want this alert: others may pass.
        case refused
        /// The attempt was ended by a stop.
        case stopped
    }

    let kind: Kind
    /// One sentence.
    let message: String
    /// Milliseconds that the receiver asked to be left alone.
    var retryAfter: Int64 = 0

    var blocksReceiver: Bool { kind == .away || kind == .overloaded }
    var blocksEntry: Bool { kind == .refused || kind == .overloaded }
}

/// Something that alerts are sent to. Used by one thread.
protocol AlertReceiver: AnyObject {
    /// Label of its metrics and name of its outbox.
    var name: String { get }

    /// Returns when the receiver has taken the alert. May be called again with the same alert, which has the same id then.
    ///
    /// - Parameters:
    ///   - entry: where the alert comes from.
    ///   - shouldContinue: false ends a wait, with the failure `.stopped`.
    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure)

    /// Ends connections.
    func close()
}

/// A kind of receiver: its name, and how one is made from the settings, or nil where they do not ask for it.
struct ReceiverKind: Sendable {
    let name: String
    let isWanted: @Sendable (AlertSinkSettings) -> Bool
    /// Called on the delivery thread.
    let make: @Sendable (AlertSinkSettings, Service) throws -> any AlertReceiver
}

/// All kinds; a new one is a folder beside these and a line here.
enum Receivers {
    static let all: [ReceiverKind] = [
        LogReceiver.kind,
        TopicReceiver.kind,
        WebhookReceiver.kind,
        SlackReceiver.kind,
        AlertmanagerReceiver.kind,
        SMTPReceiver.kind,
    ]

    /// Those that the settings ask for.
    static func wanted(_ settings: AlertSinkSettings) -> [ReceiverKind] { all.filter { $0.isWanted(settings) } }
}
