import Glibc

/// One line of progress on a terminal, redrawn in place; nothing at all elsewhere.
public final class ProgressBar {
    private let isTerminal = isatty(2) == 1
    private var next = 0.0

    public init() {}

    /// - Parameter share: 0...1.
    public func show(_ what: String, share: Double) {
        guard isTerminal, Clock.monotonicSeconds >= next || share >= 1 else { return }
        next = Clock.monotonicSeconds + 0.1
        let width = 30
        let full = Int(Double(width) * min(max(share, 0), 1))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
        Service.standardError("\r\u{1B}[K\(bar) \(Int(share * 100)) % \(what)")
    }

    /// Removes the line.
    public func clear() {
        if isTerminal { Service.standardError("\r\u{1B}[K") }
    }
}
