import ServiceKit

/// What a crash may do to a service's records on the broker.
public enum DeliveryGuarantee: String, Sendable, CaseIterable {
    /// A record may be written twice, with the same identity and content; readers drop repetitions by identity.
    case atLeastOnce = "at-least-once"
    /// Records and input offsets are one Kafka transaction: readers with `read_committed` see each record once. Costs a round trip of
    /// several requests per batch.
    case exactlyOnce = "exactly-once"
}

extension SettingsReader {
    /// `VYUHA_DELIVERY`; exactly-once needs a name that stays with the instance, since that is what fences off its former self.
    public mutating func delivery(_ common: CommonSettings?) -> DeliveryGuarantee {
        let text = choice(
            "VYUHA_DELIVERY", default: DeliveryGuarantee.atLeastOnce.rawValue, of: DeliveryGuarantee.allCases.map(\.rawValue),
            "exactly-once writes results and offsets in one Kafka transaction; needs VYUHA_INSTANCE_ID.")
        let delivery = DeliveryGuarantee(rawValue: text) ?? .atLeastOnce
        if delivery == .exactlyOnce, let common, common.instanceID == nil {
            reject("VYUHA_DELIVERY: exactly-once needs VYUHA_INSTANCE_ID, a name that stays with this instance over restarts.")
        }
        return delivery
    }
}
