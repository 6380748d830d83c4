import Glibc

/// A picture of results: throughput by record size, and delays by percentile; both axes of figures are logarithmic.
struct Plot {
    private let lines: [BenchLine]

    init(_ lines: [BenchLine]) {
        self.lines = lines
    }

    var isEmpty: Bool { throughputSeries.isEmpty && delaySeries.isEmpty }

    /// The picture, as SVG.
    var svg: String {
        let throughputPanel = PlotPanel(
            title: "Throughput by record size, payload MB/s",
            unit: { "\(Int($0))" },
            ticks: Set(throughput.map(\.recordBytes)).sorted().map { "\($0) B" },
            series: throughputSeries
        )
        let delays = PlotPanel(
            title: "Delays by percentile",
            unit: Self.time,
            ticks: Self.percentiles.map(\.name),
            series: delaySeries
        )
        let panels = [throughputPanel, delays].filter { !$0.series.isEmpty }
        let height = panels.reduce(0) { $0 + $1.height }
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(PlotPanel.width)" height="\(height)" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>

            """
        var top = 0
        for panel in panels {
            text += panel.svg(at: top)
            top += panel.height
        }
        return text + "</svg>\n"
    }

    private static let percentiles: [(name: String, figure: String)] = [
        ("50", "p50_ns"), ("90", "p90_ns"), ("99", "p99_ns"), ("99.9", "p999_ns"), ("max", "max_ns"),
    ]

    /// What moves bytes; what waits for the disk, or looks records up, would squeeze it into a corner.
    private var throughput: [BenchLine] {
        lines.filter { line in ["mlog.append", "mlog.scan"].contains { line.what.hasPrefix($0) } }
    }

    private static func time(_ nanoseconds: Double) -> String {
        switch nanoseconds {
        case ..<1e3: "\(Int(nanoseconds)) ns"
        case ..<1e6: "\(Int(nanoseconds / 1e3)) µs"
        case ..<1e9: "\(Int(nanoseconds / 1e6)) ms"
        default: "\(Int(nanoseconds / 1e9)) s"
        }
    }

    private var throughputSeries: [PlotPanel.Series] {
        let measured = throughput
        let sizes = Set(measured.map(\.recordBytes)).sorted()
        return Self.names(of: measured).map { name in
            let points = sizes.enumerated().compactMap { index, size in
                measured.first { $0.name == name && $0.recordBytes == size }?["mb_per_s"].map { (index, $0) }
            }
            return PlotPanel.Series(name: name, points: points)
        }
    }

    private var delaySeries: [PlotPanel.Series] {
        let measured = lines.filter { $0["p50_ns"] != nil }
        return measured.map { line in
            let points = Self.percentiles.enumerated().compactMap { index, percentile in
                line[percentile.figure].map { (index, max(1, $0)) }
            }
            return PlotPanel.Series(name: "\(line.name), \(line.recordBytes) B", points: points)
        }
    }

    private static func names(of lines: [BenchLine]) -> [String] {
        var names: [String] = []
        for line in lines where !names.contains(line.name) { names.append(line.name) }
        return names
    }
}

extension BenchLine {
    fileprivate var name: String { "\(what) \(mode)" }
}

/// One diagram: series of figures over the same few places.
struct PlotPanel {
    /// Figures by the places they belong to.
    struct Series {
        let name: String
        let points: [(place: Int, value: Double)]
    }

    let title: String
    /// What is written at a power of ten.
    let unit: (Double) -> String
    let ticks: [String]
    let series: [Series]

    static let width = 900
    private static let (left, top, plotWidth, plotHeight, legendRow) = (70, 40, 500, 300, 16)
    private static let colours = [
        "#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#c97b00", "#2a9d8f", "#6b4f3a", "#7a7a7a", "#0b3954", "#b56576",
        "#557a95", "#9c6644",
    ]

    var height: Int { max(Self.top + Self.plotHeight + 50, Self.top + series.count * Self.legendRow + 30) }

    /// The powers of ten that the figures lie between.
    private var decades: ClosedRange<Int> {
        let values = series.flatMap { $0.points.map(\.value) }.filter { $0 > 0 }
        let low = max(0, Int(log10(values.min() ?? 1).rounded(.down)))
        return low...max(low + 1, Int(log10(values.max() ?? 10).rounded(.up)))
    }

    func svg(at offset: Int) -> String {
        let decades = decades
        var text = #"<g transform="translate(0,\#(offset))">"# + "\n"
        text += Self.text(title, Self.left, 24, "font-size=\"15\" font-weight=\"bold\"")
        for decade in decades {
            let y = Self.y(Double(decade), decades)
            text += #"<path d="M\#(Self.left) \#(y)h\#(Self.plotWidth)" stroke="silver"/>"# + "\n"
            text += Self.text(unit(pow(10, Double(decade))), Self.left - 8, y + 4, #"text-anchor="end""#)
        }
        for (place, tick) in ticks.enumerated() {
            text += Self.text(tick, x(place), Self.top + Self.plotHeight + 20, #"text-anchor="middle""#)
        }
        for (index, series) in series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let points = series.points.filter { $0.value > 0 }.map { (x($0.place), Self.y(log10($0.value), decades)) }
            let path = points.map { "\($0.0),\($0.1)" }.joined(separator: " ")
            text += #"<polyline points="\#(path)" fill="none" stroke="\#(colour)" stroke-width="2"/>"# + "\n"
            for (x, y) in points { text += #"<circle cx="\#(x)" cy="\#(y)" r="3" fill="\#(colour)"/>"# + "\n" }
            let row = Self.top + 8 + index * Self.legendRow
            let legend = Self.left + Self.plotWidth + 20
            text += #"<rect x="\#(legend)" y="\#(row - 9)" width="10" height="10" fill="\#(colour)"/>"# + "\n"
            text += Self.text(series.name, legend + 16, row, "")
        }
        return text + "</g>\n"
    }

    private func x(_ place: Int) -> Int {
        Self.left + Self.plotWidth * (2 * place + 1) / (2 * max(1, ticks.count))
    }

    private static func y(_ exponent: Double, _ decades: ClosedRange<Int>) -> Int {
        let share = max(0, (exponent - Double(decades.lowerBound)) / Double(decades.count - 1))
        return top + Int((1 - share) * Double(plotHeight))
    }

    private static func text(_ text: String, _ x: Int, _ y: Int, _ attributes: String) -> String {
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        return #"<text x="\#(x)" y="\#(y)" \#(attributes)>\#(escaped)</text>"# + "\n"
    }
}
