import CSVReader
import Foundation

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

extension CSVReader {
    var rowTexts: [String] { fields.indices.map { string($0) } }

    /// All rows as texts, with what they are worth.
    func all() throws -> [(status: CSVRowStatus, line: Int, offset: Int64, fields: [String])] {
        var rows: [(CSVRowStatus, Int, Int64, [String])] = []
        while let status = try next() { rows.append((status, line, byteOffset, rowTexts)) }
        return rows
    }
}

/// A file that is gone with the closure.
func withFile<R>(_ bytes: [UInt8], _ body: (String) throws -> R) throws -> R {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("vyuha-csv-\(UUID().uuidString)").path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}

/// What the system's gzip makes of the bytes.
func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    try withFile(bytes) { path in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/gzip")
        process.arguments = ["-1", "-n", "-c", path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return [UInt8](data)
    }
}
