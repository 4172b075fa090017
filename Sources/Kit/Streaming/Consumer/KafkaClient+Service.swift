import KafkaClient
import Platform
import ServiceKit

extension KafkaAdmin {
    /// Probes the broker until it answers; says once in a while what is being waited for.
    /// - Returns: false when the service was asked to stop meanwhile.
    public func waitUntilReachable(_ service: Service) throws(KafkaError) -> Bool {
        service.life.obstacle = "waiting for Kafka"
        var backoff = Backoff(initial: 50, maximum: 1_000)
        var nextWord = Clock.monotonicSeconds + 1
        while !service.life.isStopping {
            service.life.turned()
            do {
                try waitForBroker(timeout: 1_000)
                return true
            } catch {
                guard error.isRetryable, !error.isFatal else { throw error }
                if Clock.monotonicSeconds >= nextWord {
                    service.log.warning("waiting for Kafka", ["error": "\(error)"])
                    nextWord = Clock.monotonicSeconds + 10
                }
                Clock.sleep(milliseconds: backoff.next())
            }
        }
        return false
    }
}

extension Service {
    /// The settings with librdkafka's own words sent to this service's log.
    public func logging(_ settings: KafkaSettings) -> KafkaSettings {
        var settings = settings
        let (log, life) = (log, life)
        settings.log = { line in
            // Level 5 and up is chatter (syslog(3)); while the service starts, waiting for Kafka has a line of its own.
            guard line.level <= 4, life.obstacle == nil || line.facility == KafkaLogLine.retry else {
                return log.debug("Kafka client", ["facility": line.facility, "text": line.message])
            }
            log.warning("Kafka client", ["facility": line.facility, "text": line.message])
        }
        return settings
    }
}
