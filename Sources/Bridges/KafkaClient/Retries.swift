import CRDKafka
import Glibc
import Platform

extension ClientHandle {
    /// Calls `body` again while the brokers are not ready for it (`KafkaError.isBrokerNotReady`): right after a topic was created, while a broker
    /// starts or a coordinator loads, each of them refuses for some moments what it will do soon. Every request of this module goes through here.
    ///
    /// Waits between the tries with a backoff, and logs one line per call, before the second try.
    /// - Parameters:
    ///   - deadline: after it the last error is thrown.
    ///   - body: gets the milliseconds that are left, 1 or more.
    func retrying<R>(until deadline: Deadline, _ body: (_ remaining: Int) throws(KafkaError) -> R) throws(KafkaError) -> R {
        var backoff = Backoff(initial: 50, maximum: 1_000)
        while true {
            do throws(KafkaError) {
                return try body(max(deadline.remainingMilliseconds, 1))
            } catch {
                let (wait, remaining) = (backoff.next(), deadline.remainingMilliseconds)
                guard error.isBrokerNotReady, wait < remaining else { throw error }
                if backoff.attempts == 1 {
                    context.log?(
                        KafkaLogLine(
                            level: 4, facility: KafkaLogLine.retry, message: "\(error) It is tried again for up to \((remaining + 999) / 1000) s.",
                            client: String(cString: rd_kafka_name(pointer))))
                }
                usleep(useconds_t(wait) * 1000)
            }
        }
    }
}
