import ServiceKit
import Synchronization

/// What `/predict` counts. Counters are atomic adds; latencies are gathered by each predictor and taken over in batches.
final class APIMetrics: Sendable {
    let answered: Counter
    let invalid: Counter
    let unavailable: Counter
    let events: Counter
    let anomalies: Counter
    let latency: Histogram
    private let joins: [Counter]

    init(_ metrics: Metrics) {
        func requests(_ outcome: String) -> Counter {
            metrics.counter("vyuha_predict_requests_total", "Requests to /predict, by outcome.", [("outcome", outcome)])
        }
        answered = requests("ok")
        invalid = requests("invalid")
        unavailable = requests("unavailable")
        events = metrics.counter("vyuha_predict_events_total", "Events scored for /predict.")
        anomalies = metrics.counter("vyuha_predict_anomalies_total", "Events of /predict whose score crossed the threshold.")
        latency = metrics.histogram("vyuha_predict_seconds", "From a complete request to /predict to its answer being ready to send.")
        joins = OnlineStatus.allCases.map { status in
            metrics.counter(
                "vyuha_predict_online_total", "Events of /predict by what the online store gave for them.", [("online", status.rawValue)])
        }
    }

    func joined(_ status: OnlineStatus, _ count: Int) {
        guard let index = OnlineStatus.allCases.firstIndex(of: status) else { return }
        joins[index].add(count)
    }
}

/// The metrics of the service, made with the routes: the settings are read before there is a service.
final class APIMetricsOnce: Sendable {
    private let made = Mutex<APIMetrics?>(nil)

    /// Nil until the first request for them.
    var known: APIMetrics? { made.withLock { $0 } }

    func get(_ service: Service) -> APIMetrics {
        made.withLock { made in
            if let made { return made }
            let metrics = APIMetrics(service.metrics)
            made = metrics
            return metrics
        }
    }
}
