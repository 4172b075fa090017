import Foundation
import Testing
import UseCases

@testable import VyuhaCtl

@Suite("vyuhactl usecase infer")
struct UseCaseInferTests {
    /// What is proposed for a file of that content, as text and as a definition that has been checked.
    private func propose(_ content: String, _ file: String) throws -> (text: String, useCase: UseCase) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vyuha-infer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent(file).path
        try content.write(toFile: path, atomically: true, encoding: .utf8)
        let text = try DefinitionProposal(try SampleReader.read(path, rows: 1_000), name: SampleReader.useCaseName(of: path)).text
        return (text, try UseCase.parse(text, file: "usecase.yaml"))
    }

    @Test("a CSV file: types, bounds, enumeration, entity, time, truth and renamed columns")
    func csv() throws {
        var rows = "Host Name;created_at;Response Time (ms);ok;level;requests;is_anomaly;kind of anomaly\n"
        for row in 0..<60 {
            let level = ["info", "warn", "error"][row % 3]
            rows += "web-\(row % 4);2026-01-01 00:\(row < 10 ? "0" : "")\(row):00;\(Double(row) + 0.5);true;\(level);\(row == 7 ? "" : "\(row)");"
            rows += row == 5 ? "1;slow\n" : "0;\n"
        }
        let (text, useCase) = try propose(rows, "Web Servers.csv")
        #expect(useCase.name == "web-servers")
        #expect(useCase.event.entity == "Host_Name")
        #expect(useCase.event.time == "created_at")
        let fields = useCase.event.schema.fields
        #expect(fields.map(\.name) == ["Host_Name", "created_at", "Response_Time__ms_", "ok", "level", "requests"])
        #expect(fields.map(\.type) == [.string, .timestamp, .number, .boolean, .string, .integer])
        #expect(fields[4].values == [.string("error"), .string("info"), .string("warn")])
        #expect(fields.map(\.isRequired) == [true, true, true, true, true, false])
        #expect((fields[2].minimum ?? -1) == 0 && (fields[2].maximum ?? 0) >= 59.5)
        guard case .file(let source)? = useCase.source?.kind else {
            Issue.record("The source is not the file:\n\(text)")
            return
        }
        #expect(source.delimiter == UInt8(ascii: ";"))
        #expect(source.columns["Response_Time__ms_"] == "Response Time (ms)")
        #expect(source.label == "is_anomaly")
        #expect(source.labelKind == "kind of anomaly")
        #expect(useCase.features.first?.features.map(\.name) == ["Response_Time__ms_", "requests"])
    }

    @Test("JSON Lines: nested paths, texts that look like numbers, broken lines, optional fields")
    func jsonLines() throws {
        var lines = "not json\n"
        for row in 0..<30 {
            let extra = row == 3 ? #","battery":0.5"# : ""
            let id = #""sensor_id":"s\#(row % 3)","timestamp":\#(1_760_000_000 + row)"#
            lines += #"{\#(id),"code":"12","value":-\#(row),"meta":{"value":1}\#(extra)}"# + "\n"
        }
        let (text, useCase) = try propose(lines, "sensors.jsonl")
        let fields = useCase.event.schema.fields
        #expect(fields.map(\.name) == ["sensor_id", "timestamp", "code", "value", "meta_value", "battery"])
        #expect(fields.map(\.path) == ["sensor_id", "timestamp", "code", "value", "meta.value", "battery"])
        #expect(fields.map(\.type) == [.string, .timestamp, .string, .integer, .integer, .number])
        #expect(fields[1].format == .epochSeconds)
        #expect(fields[3].maximum == 0)
        #expect(useCase.event.entity == "sensor_id")
        #expect(useCase.event.schema.unknownFields == .ignore)
        #expect(text.contains("Proposed from 30 rows"))
    }

    @Test("a name, a value or a file cannot break out of its place in the text")
    func hostile() throws {
        let (_, useCase) = try propose(
            "id,\"time\",\"a\"\"b: {#\n x\",\"pi\",\"1st\"\nx,2026-01-01T00:00:00Z,\"\n# }: \",1,2\nx,2026-01-01T00:00:01Z,\"' \\ é\",3,4\n", "a.csv")
        #expect(useCase.event.schema.fields.map(\.name) == ["id", "time", "a_b______x", "pi_value", "_1st"])
    }

    @Test("without a time or a key it says what is missing")
    func unusable() {
        #expect(throws: CommandError.self) { try propose("host,value\na,1\nb,2\n", "a.csv") }
        #expect(throws: CommandError.self) { try propose("time,value\n2026-01-01T00:00:00Z,1.5\n2026-01-01T00:00:01Z,2.5\n", "a.csv") }
        #expect(throws: CommandError.self) { try propose("{\"a\": [1]}\n", "a.jsonl") }
    }

    @Test("bounds hold what was seen", arguments: [(0, 0), (1, 1), (-5, -1), (0.001, 0.002), (-1e9, 3), (99, 101), (1e12, 2e12)])
    func bounds(low: Double, high: Double) {
        let bounds = DefinitionProposal.bounds(low, high)
        #expect(bounds.low <= low && bounds.high >= high && bounds.low < bounds.high || (low == 0 && high == 0))
    }
}
