/// The hour of the day and the day of the week as smooth numbers.
enum DayCycle {
    /// From -1 at 3 in the morning to 1 at 3 in the afternoon (UTC), half as much on Saturday and Sunday.
    ///
    /// The sine is Bhaskara's rational one (7th century; within 0.002): arithmetic only, so the value is the same on every machine.
    static func swing(at seconds: Double) -> Double {
        let days = (seconds - 9 * 3_600) / 86_400
        let turn = days - days.rounded(.down)
        let half = turn < 0.5 ? turn * 2 : turn * 2 - 1
        let arch = half * (1 - half)
        let sine = 16 * arch / (5 - 4 * arch) * (turn < 0.5 ? 1 : -1)
        return sine * (isWeekend(seconds) ? 0.5 : 1)
    }

    /// 1 January 1970 was a Thursday.
    static func isWeekend(_ seconds: Double) -> Bool {
        let days = (seconds / 86_400).rounded(.down) + 3
        let day = days - (days / 7).rounded(.down) * 7
        return day >= 5
    }
}
