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
               benchmarks echo --port N     the bare HTTP server, for comparison
               benchmarks api --help        every option
        """
}
