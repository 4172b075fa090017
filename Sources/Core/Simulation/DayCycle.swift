/// The hour of the day and the day of the week as smooth numbers.
enum DayCycle {
    /// From -1 at 3 in the morning to 1 at 3 in the afternoon (UTC), half as much on Saturday and Sunday.
    static func swing(at seconds: Double) -> Double { wave(at: seconds, peak: 15) * (isWeekend(seconds) ? 0.5 : 1) }

    /// A wave of one day: 1 at the hour of its peak (UTC), -1 twelve hours later.
    ///
    /// The sine is Bhaskara's rational one (7th century; within 0.002): arithmetic only, so the value is the same on every machine.
    static func wave(at seconds: Double, peak: Double) -> Double {
        let days = (seconds - (peak - 6) * 3_600) / 86_400
        let turn = days - days.rounded(.down)
        let half = turn < 0.5 ? turn * 2 : turn * 2 - 1
        let arch = half * (1 - half)
        return 16 * arch / (5 - 4 * arch) * (turn < 0.5 ? 1 : -1)
    }

    /// 1 January 1970 was a Thursday.
    static func isWeekend(_ seconds: Double) -> Bool {
        let days = (seconds / 86_400).rounded(.down) + 3
        let day = days - (days / 7).rounded(.down) * 7
        return day >= 5
    }
}
