import ServiceKit
@preconcurrency import Glibc

/// Measures the suite against what it is compared with, on this machine and in one run: `benchmarks api`.
@main struct Benchmarks {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch arguments.first {
            case "api": try APIBenchmark(Array(arguments.dropFirst())).run()
            case "stream": try StreamBenchmark(Array(arguments.dropFirst())).run()
            case "alerts": try AlertsBenchmark(Array(arguments.dropFirst())).run()
            case "detectors": try DetectorBenchmark(Array(arguments.dropFirst())).run()
            case "scorer": try ScorerBenchmark(Array(arguments.dropFirst())).run()
            case "producer": try ProducerBenchmark(Array(arguments.dropFirst())).run()
            case "drain": try DrainBenchmark(Array(arguments.dropFirst())).run()
            case "idle": try IdleBenchmark(Array(arguments.dropFirst())).run()
            case "state": try StateBenchmark(Array(arguments.dropFirst())).run()
            case "echo": try EchoServer(Array(arguments.dropFirst())).run()
            case "--version": print("benchmarks \(vyuhaVersion)")
            case "--help", nil: print(help)
            case let other?:
                Service.standardError("benchmarks: there is no benchmark \(other).\n\(help)\n")
                exit(64)
            }
        } catch {
            Service.standardError("benchmarks: \(error)\n")
            exit(1)
        }
    }

    private static let help = """
        benchmarks: measures the suite against what it is compared with, on this machine and in one run.

        Usage: benchmarks api [options]     POST /predict against FastAPI servers with the same contract
               benchmarks stream [options]  windows and expressions, topic to topic and in the library alone
               benchmarks alerts [options]  anomalies through the stages of the alert sink, state in Redis
               benchmarks detectors [options]  detectors beside scikit-learn, ONNX Runtime and River
               benchmarks scorer [options]  the scoring service, topic to topic
               benchmarks producer [options]   events per CPU second of the producer, simulated and from files
               benchmarks state [options]   snapshot and restore of the state of 100,000 entities
               benchmarks drain [options]   services that work through a backlog on KAFKA_BOOTSTRAP_SERVERS, and their memory
               benchmarks idle [options]    what services cost that wait for records
               benchmarks echo --port N     the bare HTTP server, for comparison
               benchmarks api --help        every option
        """
}
