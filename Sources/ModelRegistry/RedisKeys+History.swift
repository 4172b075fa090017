import Contracts

extension RedisKeys {
    /// List: promotions and rollbacks of a feature set's models, oldest first.
    func modelHistory(set: String) -> String { prefix + "model:" + set + ":history" }
}
