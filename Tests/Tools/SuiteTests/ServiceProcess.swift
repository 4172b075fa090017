import Foundation
import TestSupport

/// One executable of the suite as a real process of a test's own; ended when the test drops it.
final class ServiceProcess {
    private let process = Process()
    private let log: URL

    /// - Parameters:
    ///   - environment: added to this process's own.
    ///   - input: its standard input; nil: nothing.
    init(_ name: String, _ arguments: [String] = [], environment: [String: String] = [:], input: Pipe? = nil) throws {
        log = FileManager.default.temporaryDirectory.appending(path: "vyuha-test-\(name)-\(UUID().uuidString).log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        process.executableURL = URL(filePath: try executable(named: name))
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }.filter { !$0.value.isEmpty }
        process.standardInput = input ?? FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: log)
        process.standardError = process.standardOutput
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(at: log)
    }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// What the process has printed so far.
    var output: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    func terminate() { process.terminate() }

    /// Exit status, or nil when it did not end in time.
    func wait(_ seconds: Double) -> Int32? {
        withDeadline(seconds) { !process.isRunning } ? process.terminationStatus : nil
    }

    /// Runs to the end and gives status and output.
    static func run(_ name: String, _ arguments: [String], environment: [String: String] = [:], within seconds: Double) throws -> (Int32?, String) {
        let process = try ServiceProcess(name, arguments, environment: environment)
        let status = process.wait(seconds)
        return (status, process.output)
    }
}

func useCase(_ name: String) -> String { repository + "/services/usecases/" + name }
