import JSON
import ModelRegistry
import ServiceKit

/// What people want to know of a version, out of its metadata.
enum ModelFacts {
    /// One cell of the list.
    static func validation(_ model: ModelVersion) -> String {
        if let precision = model.facts["validation_average_precision"].flatMap(Double.init) { return "AP " + short(precision) }
        guard let alerts = model.facts["validation_alert_share"].flatMap(Double.init),
            let expected = model.facts["validation_expected_share"].flatMap(Double.init)
        else { return "-" }
        return "alerts \(short(alerts)) of \(short(expected))"
    }

    private static func short(_ value: Double) -> String {
        let digits = (value * 10_000).rounded() / 10_000
        return "\(digits)"
    }

    /// Name and value of everything that is known, nested facts by a path with dots, in a fixed order.
    static func lines(_ model: ModelVersion) -> [(name: String, value: String)] {
        var lines = [
            ("stored", Clock.iso8601(milliseconds: model.publishedAt)), ("bytes", "\(model.byteCount)"), ("sha256", model.sha256),
        ]
        for (name, value) in model.facts.sorted(by: { $0.key < $1.key }) {
            guard name == "model", let nested = try? JSONValue.parse(value) else {
                lines.append((name, value))
                continue
            }
            flatten(nested, "model", into: &lines)
        }
        return lines
    }

    private static func flatten(_ value: JSONValue, _ path: String, into lines: inout [(String, String)]) {
        switch value {
        case .object(let members): for member in members { flatten(member.value, path + "." + member.name, into: &lines) }
        case .array(let items):
            for (number, item) in items.enumerated() {
                // A feature by its name: its place says less.
                flatten(item, path + "." + (item["name"]?.string ?? "\(number)"), into: &lines)
            }
        case .string(let text): if !path.hasSuffix(".name") { lines.append((path, text)) }
        default: lines.append((path, String(decoding: value.serialized, as: UTF8.self)))
        }
    }

    /// Facts in which two versions differ; `-` where one has none.
    static func differences(_ one: ModelVersion, _ two: ModelVersion) -> [(name: String, one: String, two: String)] {
        let (left, right) = (lines(one), lines(two))
        var names = left.map(\.name)
        for line in right where !names.contains(line.name) { names.append(line.name) }
        return names.compactMap { name in
            let pair = (left.first { $0.name == name }?.value ?? "-", right.first { $0.name == name }?.value ?? "-")
            return pair.0 == pair.1 ? nil : (name, pair.0, pair.1)
        }
    }

    static func json(_ model: ModelVersion, _ useCase: String) -> JSONValue {
        let facts = model.facts.sorted { $0.key < $1.key }.map { name, value in
            JSONMember(name, name == "model" ? (try? JSONValue.parse(value)) ?? .string(value) : .string(value))
        }
        return .object([
            JSONMember("use_case", .string(useCase)), JSONMember("set", .string(model.set)), JSONMember("version", .integer(model.version)),
            JSONMember("stored", .string(Clock.iso8601(milliseconds: model.publishedAt))), JSONMember("bytes", .integer(Int64(model.byteCount))),
            JSONMember("sha256", .string(model.sha256)), JSONMember("facts", .object(facts)),
        ])
    }
}
