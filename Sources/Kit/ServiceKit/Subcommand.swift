import Glibc
import Text

/// One command of an executable that has several, such as `trainer fit`.
public struct Subcommand {
    let name: String
    let summary: String
    let run: ([String]) throws -> Void

    /// - Parameter run: gets the arguments after the command's name; a thrown error is printed and ends the program with status 1.
    public init(_ name: String, _ summary: String, run: @escaping ([String]) throws -> Void) {
        self.name = name
        self.summary = summary
        self.run = run
    }

    /// Runs the command that the first argument names, and exits. Status 64 where there is none such.
    public static func dispatch(_ program: String, _ summary: String, _ commands: [Subcommand]) -> Never {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let usage =
            "\(program): \(summary)\n\nUsage: \(program) COMMAND [options]\n\n"
            + commands.map { "  \($0.name)\n      \($0.summary)" }.joined(separator: "\n")
            + "\n\n\(program) COMMAND --help tells more.\n"
        switch arguments.first {
        case nil:
            Service.standardError(usage)
            exit(64)
        case "--help":
            print(usage)
            exit(0)
        case "--version":
            print("\(program) \(vyuhaVersion)")
            exit(0)
        case let name?:
            guard let command = commands.first(where: { $0.name == name }) else {
                let hint = Nearest.name(to: name, in: commands.map(\.name)).map { " Did you mean \($0)?" } ?? ""
                Service.standardError("\(program): there is no command \"\(name)\".\(hint) See \(program) --help.\n")
                exit(64)
            }
            do {
                try command.run(Array(arguments.dropFirst()))
                exit(0)
            } catch {
                Service.standardError("\(program) \(name): \(error)\n")
                exit(1)
            }
        }
    }
}
