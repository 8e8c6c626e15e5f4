import Foundation
import Testing

@Suite("The tree")
struct TreeTests {
    @Test("the top level holds nothing else")
    func topLevel() throws {
        // Package.resolved is SwiftPM's own and not checked in.
        let expected: Set = [
            "Package.swift", "Package.resolved", "Sources", "Tests", "templates", "man", "README.md",
        ]
        let found = try FileManager.default.contentsOfDirectory(atPath: Repository.root.path)
            .filter { !$0.hasPrefix(".") }
        #expect(Set(found).subtracting(expected).isEmpty)
        #expect(expected.subtracting(["Package.resolved"]).subtracting(found).isEmpty)
    }

    @Test("a file has one subject: none is longer than 400 lines")
    func length() throws {
        for file in try Repository.swiftFiles(under: "Sources", "Tests", "templates") {
            #expect(try Repository.lines(of: file).count <= 401, "\(file)")
        }
    }

    @Test("no code of ours traps on what comes from outside, and none waits to be written")
    func traps() throws {
        // Spelt in two halves, so that this file does not find itself.
        let words = ["try" + "!", "as" + "!", "fatal" + "Error(", "TO" + "DO", "FIX" + "ME"]
        for file in try Repository.swiftFiles(under: "Sources", "templates") {
            for (number, line) in try Repository.lines(of: file).enumerated() {
                #expect(!words.contains { line.contains($0) }, "\(file):\(number + 1): \(line)")
            }
        }
    }

    @Test("the bare executable is the entry point and nothing else")
    func main() throws {
        #expect(try Repository.swiftFiles(under: "Sources/latchkey") == ["Sources/latchkey/Main.swift"])
        #expect(try Repository.lines(of: "Sources/latchkey/Main.swift").count < 15)
    }
}
