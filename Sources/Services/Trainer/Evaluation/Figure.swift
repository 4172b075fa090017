/// Numbers as people read them.
enum Figure {
    /// Fixed decimals; "–" for what cannot be said.
    static func text(_ value: Double, decimals: Int = 3) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "–" }
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let whole = Int64((value.magnitude * Double(scale)).rounded())
        let fraction = String(whole % scale)
        let sign = value < 0 && whole > 0 ? "−" : ""
        return sign + grouped(whole / scale)
            + (decimals == 0 ? "" : "." + String(repeating: "0", count: decimals - fraction.count) + fraction)
    }

    static func text(_ value: Int) -> String { (value < 0 ? "−" : "") + grouped(Int64(clamping: value.magnitude)) }

    /// 12,345.
    private static func grouped(_ value: Int64) -> String {
        var text = ""
        for (place, digit) in String(value).reversed().enumerated() {
            if place > 0, place % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// A coordinate with one decimal.
    static func place(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    /// Text between tags and in attributes.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    /// Round steps of an axis from 0 that reach `maximum`: at most six.
    static func steps(to maximum: Double) -> [Double] {
        guard maximum > 0, maximum.isFinite else { return [0, 1] }
        var step = 1.0
        while step * 5 < maximum { step *= 10 }
        for factor in [0.2, 0.5] where step * factor * 5 >= maximum {
            step *= factor
            break
        }
        step = max(step, 1)
        return stride(from: 0, through: (maximum / step).rounded(.up) * step, by: step).map { $0 }
    }
}
