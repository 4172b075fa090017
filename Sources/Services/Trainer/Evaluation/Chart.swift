/// An inline SVG under construction: a plot area with axes, in its own coordinates. Colours come from the page's style classes.
struct Chart {
    let width: Double
    let height: Double
    let left = 44.0
    let right = 14.0
    let top = 12.0
    let bottom = 38.0
    private var body = ""

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    var plotWidth: Double { width - left - right }
    var plotHeight: Double { height - top - bottom }
    /// Shares 0...1 of the plot as coordinates; y grows upwards.
    func x(_ share: Double) -> Double { left + share * plotWidth }
    func y(_ share: Double) -> Double { top + (1 - share) * plotHeight }

    private func point(_ x: Double, _ y: Double) -> String { Figure.place(self.x(x)) + "," + Figure.place(self.y(y)) }

    /// Grid lines and labels of the vertical axis.
    mutating func verticalAxis(_ ticks: [(share: Double, label: String)]) {
        for tick in ticks {
            body += "<line class=\"\(tick.share == 0 ? "axis" : "grid")\" x1=\"\(Figure.place(x(0)))\" x2=\"\(Figure.place(x(1)))\""
            body += " y1=\"\(Figure.place(y(tick.share)))\" y2=\"\(Figure.place(y(tick.share)))\"/>"
            text(tick.label, at: (x(0) - 8, y(tick.share) + 4), anchor: "end")
        }
    }

    mutating func horizontalAxis(_ ticks: [(share: Double, label: String)], title: String) {
        // Labels at the very ends would be cut off were they centred.
        for tick in ticks {
            let anchor = tick.share <= 0.01 ? "start" : tick.share >= 0.99 ? "end" : "middle"
            text(tick.label, at: (x(tick.share), y(0) + 16), anchor: anchor)
        }
        text(title, at: (x(0.5), height - 4), anchor: "middle")
    }

    private mutating func text(_ text: String, at place: (Double, Double), anchor: String) {
        body += "<text x=\"\(Figure.place(place.0))\" y=\"\(Figure.place(place.1))\" text-anchor=\"\(anchor)\">\(Figure.escaped(text))</text>"
    }

    /// A line through points of shares, its area filled when asked.
    mutating func line(_ points: [(x: Double, y: Double)], filled: Bool = false, style: String = "line") {
        guard let first = points.first, let last = points.last else { return }
        let path = points.map { point($0.x, $0.y) }.joined(separator: " ")
        if filled { body += "<polygon class=\"area\" points=\"\(point(first.x, 0)) \(path) \(point(last.x, 0))\"/>" }
        body += "<polyline class=\"\(style)\" points=\"\(path)\"/>"
    }

    mutating func dot(_ x: Double, _ y: Double, title: String) {
        body += "<circle class=\"dot\" cx=\"\(Figure.place(self.x(x)))\" cy=\"\(Figure.place(self.y(y)))\" r=\"4.5\">"
        body += "<title>\(Figure.escaped(title))</title></circle>"
    }

    /// A bar from share to share, with a text that shows when pointed at.
    mutating func bar(x: Range<Double>, y: Range<Double>, style: String, title: String) {
        let height = max((y.upperBound - y.lowerBound) * plotHeight, 0.5)
        body += "<rect class=\"\(style)\" x=\"\(Figure.place(self.x(x.lowerBound)))\" y=\"\(Figure.place(self.y(y.upperBound)))\""
        body += " width=\"\(Figure.place(max((x.upperBound - x.lowerBound) * plotWidth, 1)))\" height=\"\(Figure.place(height))\">"
        body += "<title>\(Figure.escaped(title))</title></rect>"
    }

    func svg(label: String) -> String {
        "<svg viewBox=\"0 0 \(Figure.place(width)) \(Figure.place(height))\" role=\"img\" aria-label=\"\(Figure.escaped(label))\">\(body)</svg>"
    }
}
