/// The stage `cooldown`: before when an occasion is not told, although it is due.
extension AlertEngine {
    func notBefore(_ occasion: Occasion, _ time: Int64, _ group: AlertGroup) -> Int64 {
        var time = max(time, group.quietUntil)
        if occasion.isCapped { time = max(time, group.heldUntil) }
        if occasion == .opened, group.toldAt != 0 { time = max(time, group.toldAt + policy.cooldown) }
        return time
    }
}
