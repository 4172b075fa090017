import UseCases

/// A small use case with texts.
let taxiDefinition = """
    name: taxi
    partitions: 4
    event:
      entity: zone
      time: at
      fields:
        zone: { type: string }
        at: { type: timestamp, format: epoch-milliseconds }
        fare: { type: number }
    features:
      trip: { fare: fare, speed: fare / 2 }
    detector: { name: isolation-forest }
    threshold: { contamination: 0.02 }
    alerts:
      cooldown: 60s
      title: "Zone {entity}"
      text: "{status} {score}: {top_features}"
    """

let taxi: UseCase = {
    do { return try UseCase.parse(taxiDefinition, file: "taxi.yaml") } catch { preconditionFailure("\(error)") }
}()
