/// What ends a command early: one sentence that says what to do, and the exit status.
struct CommandError: Error, CustomStringConvertible {
    let description: String
    let status: Int32

    /// - Parameter status: 1 for what went wrong, 64 for wrong usage (EX_USAGE of sysexits.h).
    init(_ description: String, status: Int32 = 1) {
        self.description = description
        self.status = status
    }

    static let noPort = CommandError("No free port is left on 127.0.0.1.")
}
