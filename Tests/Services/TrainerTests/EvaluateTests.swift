import Foundation
import JSON
import ServiceKit
import Testing
import UseCases

@testable import Trainer

@Suite("trainer evaluate")
struct EvaluateTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    /// Two days of minutes; the last ten rows are an event, the first five are not judged.
    private func evaluate(_ more: [String] = []) throws -> (json: JSONValue, html: String) {
        let rows = (0..<200).map { row in
            "2026-03-0\(1 + row / 100)T\(row % 100 < 10 ? "00" : "01"):\(10 + row % 50):00Z,\(row),\(row >= 190 ? 1 : 0),\(row < 5 ? 1 : 0)"
        }
        let scores = (0..<200).map { row in row < 5 ? "1,1" : row >= 190 ? "0.99,1" : row == 50 ? "0.97,1" : "0.\(10 + row % 40),0" }
        let test = try folder.write("test.csv", ["timestamp,a,label,ignore"] + rows)
        let scored = try folder.write("scores.csv", ["score,is_anomaly"] + scores)
        try EvaluateCommand(
            [
                "--test", test, "--scores", scored, "--label", "label", "--ignore", "ignore", "--timestamp", "timestamp", "--json",
                folder.path + "/out.json", "--html", folder.path + "/out.html",
            ] + more
        ).run()
        let json = try JSONValue.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: folder.path + "/out.json"))))
        return (json, try String(contentsOfFile: folder.path + "/out.html", encoding: .utf8))
    }

    @Test("says the figures as JSON, without the rows that are not judged")
    func figures() throws {
        let json = try evaluate().json
        func number(_ value: JSONValue, _ name: String) -> Double? {
            if let found = value[name]?.double { return found }
            for member in value.object ?? [] { if let found = number(member.value, name) { return found } }
            return nil
        }
        #expect(number(json, "rows") == 195)
        #expect(number(json, "ignored") == 5)
        #expect(number(json, "anomalies") == 10)
        #expect(number(json, "roc_auc") == 1)
        #expect(number(json, "average_precision") == 1)
    }

    @Test("draws one page that needs nothing from elsewhere, with the curves, the timeline and the alerts per day")
    func page() throws {
        let html = try evaluate().html
        #expect(html.hasPrefix("<!DOCTYPE html>") || html.hasPrefix("<!doctype html>"))
        #expect(html.contains("<svg"))
        for part in ["ROC", "recision", "2026-03-01", "2026-03-02"] { #expect(html.contains(part), "\(part)") }
        // A reference to another document or a script from elsewhere would make it depend on the network.
        for part in ["src=\"http", "href=\"http", "<link", "@import", "<script src"] { #expect(!html.contains(part), "\(part)") }
    }

    @Test("reads labels as people write them, and refuses a cell that is neither with its line and column")
    func labels() throws {
        let test = try folder.write("words.csv", ["a,y", "1,True", "2,False", "3,1.0", "4,0.0", "5,no", "6,"])
        let scored = try folder.write("words-scores.csv", ["score,is_anomaly", "0.9,1.0", "0.1,0", "0.8,Yes", "0.2,False", "0.3,", "0.1,0"])
        func read(_ label: String) throws -> LabelledScores {
            var reader = SettingsReader(
                arguments: ["--test", test, "--scores", scored, "--label", label, "--json", "none"], environment: [:], switches: [])
            return try LabelledScores(try #require(EvaluateSettings(&reader)))
        }
        let judged = try read("y")
        #expect(judged.labels == [true, false, true, false, false, false])
        #expect(judged.flags == [true, false, true, false, false, false])
        let failure = #expect(throws: TruthError.self) { try read("a") }
        #expect(failure?.description.hasPrefix("\(test):3: \"2\" in the column `a`") == true)
    }

    @Test("a training file whose labels are False, 0.0 or no has no anomaly in it")
    func trainingLabels() throws {
        let definition = """
            name: pumps
            event: { entity: e, time: t, fields: { e: string, t: timestamp, x: number } }
            features: { reading: { x: x } }
            training: { csv: { file: train.csv, label: y, ignore: skip } }
            detector: { name: robust-z }

            """
        let useCase = try UseCase.parse(definition, file: folder.path + "/usecase.yaml")
        guard case .file(let source)? = useCase.training?.kind else {
            Issue.record("the use case has no training file")
            return
        }
        let cells = ["False,0.0", "0.0,no", "no,", "FALSE,0", "TRUE,0", "1.0,false", "1,True"]
        let rows = cells.enumerated().map { "p,2026-03-01T00:00:0\($0)Z,1,\($1)" }
        let path = try folder.write("train.csv", ["e,t,x,y,skip"] + rows)
        #expect(try TrainingTable(path: path, source: source, useCase: useCase) { _ in }.sets[0].labels == [0, 0, 0, 0, 1, 1, -1])
        let odd = try folder.write("odd.csv", ["e,t,x,y,skip"] + rows + ["p,2026-03-01T00:00:09Z,1,maybe,"])
        let failure = #expect(throws: TruthError.self) { try TrainingTable(path: odd, source: source, useCase: useCase) { _ in } }
        #expect(failure?.description.hasPrefix("\(odd):9: \"maybe\" in the column `y`") == true)
    }

    @Test("gives the same bytes for the same files")
    func isReproducible() throws {
        let (first, second) = (try evaluate(), try evaluate())
        #expect(first.html == second.html)
        #expect(first.json == second.json)
    }
}

@Suite("Which of two versions is worse")
struct ValidationTests {
    @Test("by labels the less precise one; without, the one that floods or falls silent")
    func isWorse() {
        func known(_ precision: Double) -> Validation { Validation(rows: 1_000, alertShare: 0.5, expectedShare: 0.01, averagePrecision: precision) }
        func unknown(_ share: Double) -> Validation { Validation(rows: 1_000, alertShare: share, expectedShare: 0.01, averagePrecision: nil) }
        #expect(known(0.5).isWorse(than: known(0.6)))
        #expect(!known(0.6).isWorse(than: known(0.6)))
        #expect(!known(0.7).isWorse(than: known(0.6)))
        #expect(unknown(0.2).isWorse(than: unknown(0.011)))
        #expect(unknown(0).isWorse(than: unknown(0.01)))
        #expect(!unknown(0.012).isWorse(than: unknown(0.01)))
        #expect(!unknown(0.01).isWorse(than: unknown(0.3)))
    }
}
