import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// Every setting of `trainer fit`.
struct FitSettings {
    /// What becomes of a version that is no worse than the current one.
    enum Role { case current, challenger, stored }

    let useCase: UseCase
    let redis: RedisSettings
    /// Training rows; nil takes the file that the use case names.
    let csv: String?
    let seed: Int?
    let heldBack: Double
    let role: Role
    /// Promotes also what is worse on the newest rows.
    let isForced: Bool
    /// Leaves a feature set alone that has a current model.
    let onlyMissing: Bool
    /// Leaves a feature set alone whose newest version is younger; milliseconds.
    let staleAfter: Int?
    /// Goes on for ever, fitting at this interval; milliseconds.
    let every: Int?
    /// Share by which interval and staleness are stretched or shortened at random, so that many trainers do not start at once.
    let jitter: Double
    /// Milliseconds that a version lives once it is neither current nor challenger.
    let retention: Int

    static let switches: Set<String> = ["--no-promote", "--challenger", "--if-missing", "--even-if-worse"]

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let redis = CommonSettings.redis(&reader)
        csv = reader.optionalString("--csv", "Training rows; without it the file in the use case's training section.")
        seed = reader.optionalInteger("--seed", in: 0...Int.max, "Seed of every random choice; without it the detector's own.")
        heldBack = reader.number("--held-back", default: 0.25, in: 0.05...0.9, "Share of the rows kept from the fit, for calibration.") ?? 0.25
        let isStored = reader.toggle("--no-promote", "Store the version without making it the current one.")
        let challenges = reader.toggle("--challenger", "Make the version the challenger instead of the current one.")
        if isStored, challenges { reader.reject("Give --no-promote or --challenger, not both.") }
        role = isStored ? .stored : challenges ? .challenger : .current
        isForced = reader.toggle("--even-if-worse", "Promote also a version that does worse on the newest rows than the current one.")
        onlyMissing = reader.toggle("--if-missing", "Leave a feature set alone that has a current model already.")
        let span = 1_000...(3_650 * 86_400_000)
        staleAfter = reader.duration("--stale-after", default: nil, in: span, "Leave a feature set alone whose newest version is younger than this.")
        every = reader.duration("VYUHA_RETRAIN_EVERY", default: nil, in: span, "Keep running and fit again each time this has passed.")
        jitter =
            reader.number(
                "VYUHA_RETRAIN_JITTER", default: 0.1, in: 0...0.9,
                "Share by which these times vary at random, so that not all trainers start at once.")
            ?? 0.1
        retention =
            reader.duration(
                "VYUHA_MODEL_RETENTION", default: "30d", in: 60_000...(3_650 * 86_400_000),
                "How long a version is kept once it is neither current nor challenger.") ?? Int(ModelRegistry.usualRetention)
        guard let useCase, let redis else { return nil }
        self.useCase = useCase
        self.redis = redis
    }
}
