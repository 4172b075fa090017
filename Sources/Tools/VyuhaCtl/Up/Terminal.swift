import Glibc

/// Where the status goes: redrawn in place on a terminal, plain lines elsewhere. Standard output; one `write` per drawing.
struct Terminal {
    let isLive: Bool
    private var drawn = 0

    /// - Parameter isPlain: never redraw, as when logs share the terminal.
    init(isPlain: Bool) {
        let type = getenv("TERM").map { String(cString: $0) } ?? "dumb"
        isLive = !isPlain && isatty(1) == 1 && type != "dumb"
    }

    /// Draws the view over the last one.
    mutating func draw(_ lines: [String]) {
        guard isLive else { return }
        // Hide the cursor, go up to the first line of the last drawing, clear each line to its end, and what is below.
        var text = "\u{1b}[?25l" + (drawn > 0 ? "\u{1b}[\(drawn)A" : "")
        for line in lines { text += "\r" + line + "\u{1b}[K\r\n" }
        text += "\u{1b}[J"
        drawn = lines.count
        Self.write(text)
    }

    /// Writes a line that stays, above the view.
    mutating func say(_ line: String) {
        if isLive, drawn > 0 {
            Self.write("\u{1b}[\(drawn)A\r\u{1b}[J" + line + "\r\n\u{1b}[?25h")
            drawn = 0
        } else {
            Self.write(line + "\n")
        }
    }

    /// Leaves the last drawing where it is and shows the cursor again.
    mutating func finish() {
        guard isLive else { return }
        Self.write("\u{1b}[?25h")
        drawn = 0
    }

    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        var start = 0
        bytes.withUnsafeBytes { buffer in
            while start < buffer.count {
                let count = Glibc.write(1, buffer.baseAddress.map { $0 + start }, buffer.count - start)
                if count > 0 { start += count } else if errno != EINTR && errno != EAGAIN { return }
            }
        }
    }
}
