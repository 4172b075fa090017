import Foundation
import TestSupport
import Testing

@testable import ServiceKit

@Suite struct BearerTokensTests {
    private let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-tokens-\(UUID().uuidString)").path

    private func read(_ text: String) throws -> BearerTokens {
        defer { try? FileManager.default.removeItem(atPath: file) }
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return try BearerTokens(file: file)
    }

    @Test func `blank lines and comments are no tokens`() throws {
        #expect(try read("# team a\n   \n0123456789abcdef\n\t\r\n\n").count == 1)
    }

    @Test(arguments: ["", "   \n", "# only a word\n", "short\n", "0123456789abcdef\nshort\n", "0123456789 abcdef\n"])
    func `a file without a usable token, or with one that could be guessed, is refused`(text: String) throws {
        #expect(throws: BearerTokens.Failure.self) { try read(text) }
    }

    @Test(arguments: [
        ("0123456789abcdef", true), ("0123456789abcdeF", false), ("0123456789abcde", false), ("0123456789abcdef0", false), ("", false),
        ("0123456789abcdef0123456789abcdef", false),
    ])
    func `tokens are equal only where every byte is`(sent: String, isEqual: Bool) {
        let known = Array("0123456789abcdef".utf8)
        #expect((BearerTokens.isEqual(Array(sent.utf8)[...], known) == 1) == isEqual)
    }
}
