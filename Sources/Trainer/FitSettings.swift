import RedisClient
import ServiceKit
import UseCases

/// Every setting of `trainer fit`.
struct FitSettings {
    let useCase: UseCase
    let redis: RedisSettings
    /// Training rows; nil takes the file that the use case names.
    let csv: String?
    let seed: Int?
    let heldBack: Double
    let promote: Bool
    /// Leaves a feature set alone that has a current model.
    let onlyMissing: Bool

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let redis = CommonSettings.redis(&reader)
        csv = reader.optionalString("--csv", "Training rows; without it the file in the use case's training section.")
        seed = reader.optionalInteger("--seed", in: 0...Int.max, "Seed of every random choice; without it the detector's own.")
        heldBack = reader.number("--held-back", default: 0.25, in: 0.05...0.9, "Share of the rows kept from the fit, for calibration.") ?? 0.25
        promote = !reader.toggle("--no-promote", "Store the version without making it the current one.")
        onlyMissing = reader.toggle("--if-missing", "Leave a feature set alone that has a current model already.")
        guard let useCase, let redis else { return nil }
        self.useCase = useCase
        self.redis = redis
    }
}
