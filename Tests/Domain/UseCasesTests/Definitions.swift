import UseCases

/// A small definition that is right, to be made wrong in one place.
let sound = """
    name: test-case
    title: A test
    partitions: 4
    event:
      entity: sensor
      time: at
      fields:
        sensor: { type: string }
        at:     { type: timestamp, format: epoch-milliseconds }
        value:  { type: number, min: 0, max: 100, unit: degree }
        state:  { type: string, values: [on, off], required: false }
        load:   number
    features:
      reading:
        value: value
        double_value: 2 * value
        long: >-
          max(value, 1)
          + load
    source:
      csv: { file: a.csv, delimiter: ";", columns: { value: val }, label: truth, label_kind: kind }
      rate: 100
    training:
      csv: { file: b.csv }
    detector: { name: isolation-forest, trees: 50, features: [value, long] }
    threshold: { contamination: 0.02 }
    reply: { id: $entity, s: $score, v: $field.value, one: 1, text: '1', dollar: $$score, none: }
    status: { normal: OK, anomaly: BAD }
    alerts: { cooldown: 10s, title: "{entity} {{x}}", text: "{feature.value} and {top_features}" }
    baseline: { field: value, direction: down }
    metrics: { prefix: test_case }

    """

/// The definition with one text replaced.
func replacing(_ old: String, _ new: String) -> String {
    var result = ""
    var rest = sound[...]
    while !rest.isEmpty {
        if rest.hasPrefix(old) { return result + new + rest.dropFirst(old.count) }
        result.append(rest.removeFirst())
    }
    return "the sound definition has no `\(old)`"
}
