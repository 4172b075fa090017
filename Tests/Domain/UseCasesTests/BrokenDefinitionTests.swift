import Foundation
import Testing
import Text
import UseCases

@Suite("A definition with a mistake")
struct BrokenDefinitionTests {
    /// What is replaced in the sound definition, by what, and the message without the file: the whole of it, or up to `…` where the
    /// sentence is another target's.
    private static let cases: [(String, String, String)] = [
        ("name: test-case", "nmae: test-case", "1:1: The file does not know the key `nmae`; did you mean `name`?"),
        ("name: test-case\n", "", "1:1: The file needs the key `name`."),
        (
            "test-case", "Test_Case",
            "1:7: `name` wants 1 to 64 lower-case letters, digits and `-`, beginning with a letter or digit, but has `Test_Case`."
        ),
        ("partitions: 4", "partitions: 0", "3:13: `partitions` must be between 1 and 1024, but is 0."),
        ("partitions: 4", "partitions: many", "3:13: `partitions` wants a whole number, but has `many`."),
        ("entity: sensor", "entity: sensr", "5:11: `entity` names the field `sensr`…"),
        ("entity: sensor", "entity: value", "10:21: The entity field `value`…"),
        ("time: at\n", "time: value\n", "10:21: The time field `value`…"),
        ("  time: at\n", "", "5:3: `event` needs the key `time`."),
        ("type: number, min: 0", "type: numbr, min: 0", "10:21: `type` does not know `numbr`; did you mean `number`?"),
        ("type: number, min: 0", "typ: number, min: 0", "10:15: `value` does not know the key `typ`; did you mean `type`?"),
        ("min: 0, max: 100", "min: 100, max: 0", "10:44: …"),
        ("min: 0, max: 100", "min: 0, above: 1", "10:44: …"),
        ("min: 0, max: 100", "min: zero, max: 1", "10:34: `min` wants a number, but has `zero`."),
        ("values: [on, off]", "values: []", "11:37: `values` lists no value; leave it out to allow all."),
        ("values: [on, off]", "values: [on, on]", "11:37: …"),
        ("values: [on, off], required: false", "values: [on, off], default: maybe", "11:57: …"),
        ("required: false", "required: no", "11:58: `required` wants true or false; `no` is a text here, write false."),
        (
            "format: epoch-milliseconds", "format: epoch",
            "9:40: `format` does not know `epoch`; it is one of iso8601, epoch-seconds and epoch-milliseconds."
        ),
        ("format: epoch-milliseconds", "format: { pattern: '%Y-%m' }", "9:51: The pattern…"),
        (
            "format: epoch-milliseconds", "format: { pattern: '%Y-%m-%d', zone: Mars/Olympus }",
            "9:69: There is no time zone `Mars/Olympus`; write a name such as America/New_York, or UTC."
        ),
        (
            "load:   number", "load: { type: string, format: iso8601 }",
            "12:35: `format` is for timestamps; the field `load` is of type string."
        ),
        ("load:   number", "load: number\n    value: number", "13:5: The key `value` is there already, in line 10."),
        ("double_value: 2 * value", "double_value: 2 * valeu", "16:23: …"),
        ("double_value: 2 * value", "double_value: 2 * (value", "16:29: …"),
        ("double_value: 2 * value", "double_value: 2 * state", "16:23: …"),
        ("      + load", "      + lod", "19:9: …"),
        ("  reading:\n", "  Reading:\n", "14:3: A feature set's name is 1 to 64 lower-case letters, digits and `_`, not `Reading`."),
        ("    value: value\n", "    window: { length: 60s, slide: 2m }\n", "15:35: `slide` must be between 1ms and 1m, but is 2m."),
        (
            "    value: value\n", "    window: { length: 8d }\n",
            "15:23: A window of `reading` is open for 8d with what `time` allows for late events, but events are kept for 7d unless told otherwise; make the window shorter or `retention` in `time` longer."
        ),
        ("double_value: 2 * value", "double_value: double_value + 1", "16:19: Features cannot depend on themselves…"),
        ("    value: value\n", "    when: valeu > 1\n", "15:11: There is no field `valeu`. Did you mean `value`?"),
        ("    value: value\n", "    when: value\n", "15:11: Here must be a boolean…"),
        (
            "    value: value\n", "    when: value > 1 and max(value, 10s) > 2\n",
            "15:25: `when` looks at one event alone, so max(…) cannot stand in it…"
        ),
        ("    value: value\n", "    per: events\n", "15:10: `per` does not know `events`; did you mean `event`?"),
        ("csv: { file: a.csv", "cvs: { file: a.csv", "21:3: `source` does not know the key `cvs`; did you mean `csv`?"),
        ("columns: { value: val }", "columns: { valeu: val }", "21:50: `columns` does not know the key `valeu`; did you mean `value`?"),
        ("delimiter: \";\"", "delimiter: \";;\"", "21:34: `delimiter` wants one sign such as \",\", \";\" or \"|\", or tab, but has `;;`."),
        (
            "label: truth", "label: sensor",
            "21:71: The column `sensor` of `label` feeds a field of the event too; the truth must stay out of it."
        ),
        ("label: truth, ", "", "21:76: `label_kind` needs a `label` beside it."),
        ("rate: 100", "rate: fast", "22:9: `rate` wants a number, but has `fast`."),
        ("rate: 100", "simulator: { name: x }", "22:3: `source` has `csv` and `simulator`; keep one."),
        (
            "csv: { file: b.csv }", "simulator: { name: x, duration: 20 }",
            "24:35: `duration` wants a duration such as 500ms, 60s, 10m, 1h or 2d, but has `20`."
        ),
        ("csv: { file: b.csv }", "simulator: { duration: 20m }", "24:14: `simulator` needs the key `name`."),
        (
            "name: isolation-forest", "name: isolation-forrest",
            "25:19: `name` does not know `isolation-forrest`; did you mean `isolation-forest`?"
        ),
        ("trees: 50", "tress: 50", "25:37: `detector` does not know the key `tress`; did you mean `trees`?"),
        ("trees: 50", "trees: 0", "25:44: `trees` must be between 1 and 10000, but is 0."),
        ("trees: 50", "trees: ten", "25:44: `trees` wants a whole number, but has `ten`."),
        ("features: [value, long]", "features: [value, lonk]", "25:66: There is no feature `lonk`; did you mean `long`?"),
        ("features: [value, long]", "features: [value, value]", "25:66: The feature `value` is listed twice."),
        ("contamination: 0.02", "contamination: 2", "26:29: `contamination` must be between 0 and 0.5, but is 2."),
        (
            "contamination: 0.02", "contamination: 0.02, score: 0.9",
            "26:12: `threshold` wants exactly one of contamination, false_alerts_per_entity_per_day and score."
        ),
        ("contamination: 0.02", "", "26:12: `threshold` wants exactly one of contamination, false_alerts_per_entity_per_day and score."),
        ("s: $score", "s: $scroe", "27:26: The reply does not know the placeholder `$scroe`; did you mean `$score`?"),
        (
            "s: $score", "s: $nothing_like_it",
            "27:26: The reply does not know the placeholder `$nothing_like_it`; it is one of $entity, $score, $is_anomaly, $status, $confidence, $event_time, $model, $version, $anomaly_type, $features, $window_start, $window_end and $field.NAME."
        ),
        ("s: $score", "s: $window_start", "27:26: No feature set has a window, so there is nothing for `$window_start` to say."),
        ("threshold: { c", "types: { up: [vaule] }\nthreshold: { c", "26:15: There is no feature `vaule`; did you mean `value`?"),
        (
            "threshold: { c", "types: { up: [value], down: [long, value] }\nthreshold: { c",
            "26:36: The feature `value` speaks for the type `up` already; name it once."
        ),
        ("threshold: { c", "types: { up: [] }\nthreshold: { c", "26:14: The type `up` names no feature."),
        ("threshold: { c", "types: {}\nthreshold: { c", "26:8: `types` names no type; leave it out."),
        ("v: $field.value", "v: $field.vale", "27:37: The reply does not know the placeholder `$field.vale`; did you mean `$field.value`?"),
        (
            "v: $field.value", "v: $field.sensor",
            "27:37: `$field.sensor` is a text, which a reply cannot repeat; it can repeat numbers, booleans and times, and $entity."
        ),
        ("s: $score", "s: [$score]", "27:26: A member of the reply is a placeholder such as $score or a plain value, not a list."),
        ("anomaly: BAD", "anomaly: OK", "28:9: `status` needs two different words, but both are `OK`."),
        ("cooldown: 10s", "cooldown: 10", "29:21: `cooldown` wants a duration such as 500ms, 60s, 10m, 1h or 2d, but has `10`."),
        ("{entity} {{x}}", "{entiy} x", "29:34: There is no placeholder `{entiy}`; did you mean `{entity}`?"),
        ("{entity} {{x}}", "{entity", "29:34: A `{` is not closed; write {{ for a plain brace."),
        ("{feature.value} and", "{feature.valu} and", "29:58: There is no placeholder `{feature.valu}`; did you mean `{feature.value}`?"),
        ("{feature.value} and", "value} and", "29:63: A `}` closes nothing; write }} for a plain brace."),
        ("cooldown: 10s", "webhook: ftp://x", "29:20: `webhook` wants an address that begins with https:// or http://, but has `ftp://x`."),
        ("baseline: { field: value", "baseline: { field: state", "30:20: The baseline's field `state` must be a number."),
        (
            "prefix: test_case", "prefix: test-case",
            "31:20: `prefix` wants 1 to 64 lower-case letters, digits and `_`, not beginning with a digit, but has `test-case`."
        ),
    ]

    @Test("is refused with its place and a sentence", arguments: cases.indices)
    func refused(index: Int) {
        let (old, new, message) = Self.cases[index]
        let error = #expect(throws: UseCaseError.self, "\(old) -> \(new)") { try UseCase.parse(replacing(old, new), file: "f") }
        let text = error?.description ?? ""
        if message.hasSuffix("…") {
            #expect(text.hasPrefix("f:" + message.dropLast()))
            #expect(text.hasSuffix(".") || text.hasSuffix("?"))
        } else {
            #expect(text == "f:" + message)
        }
    }

    @Test("mutated at random is read or refused with a place, and never stops the loader")
    func fuzz() {
        var random = SplitMix64(seed: 41)
        let alphabet = Array("{}[]:,-#'\"$*+/()<>=!%^ \n\t.0159abex_~|".utf8)
        let bytes = Array(sound.utf8)
        var accepted = 0
        let corpus = [bytes] + Self.corpus.map { Array($0.utf8) }
        for round in 0..<Self.rounds {
            var mutated = round % 3 == 0 ? corpus[Int.random(in: 0..<corpus.count, using: &random)] : bytes
            for _ in 0..<Int.random(in: 1..<4, using: &random) {
                let at = Int.random(in: 0..<max(mutated.count, 1), using: &random)
                if mutated.isEmpty { mutated.append(0x20) }
                switch Int.random(in: 0..<5, using: &random) {
                case 4: mutated.insert(contentsOf: Self.pieces[Int.random(in: 0..<Self.pieces.count, using: &random)].utf8, at: at)
                case 0: mutated.insert(alphabet.randomElement(using: &random) ?? 0, at: at)
                case 1: mutated[at] = alphabet.randomElement(using: &random) ?? 0
                case 2: mutated.removeSubrange(at..<min(mutated.count, at + Int.random(in: 1..<20, using: &random)))
                default: mutated.insert(contentsOf: mutated[at..<min(mutated.count, at + 20)], at: at)
                }
            }
            do {
                _ = try UseCase.parse(String(decoding: mutated, as: UTF8.self), file: "f").description
                accepted += 1
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
        #expect(accepted > Self.rounds / 200)
    }

    /// `VYUHA_FUZZ_CASES` makes the run as long as one likes: `make fuzz`.
    private static let rounds = ProcessInfo.processInfo.environment["VYUHA_FUZZ_CASES"].flatMap(Int.init) ?? 3000

    /// Definitions that loaders have stumbled over: none of them may do more than be refused.
    private static let corpus = [
        "", "\u{FEFF}", "---", "...", "- - - -", "{}", "[]", "null", "name:", "a: &a [*a]", "a: *b", "<<: {a: 1}", "!!binary x", "? - a\n: b",
        "name: |\n",
        "\t", "a: 'b", "a: \"\\ud800\"", "a: \"\\x00\"", String(repeating: "[", count: 200), String(repeating: "{a: ", count: 200),
        String(repeating: "- ", count: 200) + "a", "%YAML 9.9\n---\na: b", "name: x\n---\nname: y", "name: " + String(repeating: "x", count: 5_000),
        replacing("rate: 100", "rate: 1e400"), replacing("partitions: 4", "partitions: 99999999999999999999"), replacing("min: 0", "min: .nan"),
        replacing("min: 0", "min: -.inf"), replacing("    value: value\n", "    window: { length: 9223372036854775807ms }\n"),
        replacing("    value: value\n", "    window: { length: 106751991167d }\n"),
        replacing("double_value: 2 * value", "double_value: double_value"),
        replacing("2 * value", String(repeating: "(", count: 3_000) + "value"),
        replacing("2 * value", String(repeating: "value + ", count: 3_000) + "1"),
        replacing("2 * value", "hour(at, \"../../etc/passwd\")"), replacing("2 * value", "mean(value, 0s)"),
        replacing("2 * value", "quantile(value, 2, 5 events)"),
    ]
    private static let pieces = [
        "&a ", "*a", "!!str ", "<<: ", "? ", "|2-\n", ">+", "\u{0}", "\r", "\u{2028}", "\u{FEFF}", "- ", "..\n", "---\n", "{", "\"", "'", "#",
        "1e309", ".nan",
        "-0", "0x10", "99999999999999999999", "366d", "0ms", "window: {length: 1ms}", "time: {retention: 1m}\n", "silence: {interval: learned}\n",
        "previous(", "mean(value, 3 events)", "{feature.", "$field.", "\u{1F600}",
    ]
}
