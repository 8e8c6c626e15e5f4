import Foundation
import Testing

@testable import Netfilter

/// Whether a user can create a network namespace on this machine, and both iptables backends are installed.
private let kernelIsThere: Bool =
    ((try? inNamespace("iptables-nft -L -n && iptables-legacy -L -n", input: [])) ?? nil) != nil

private let kernelIsRequired = ProcessInfo.processInfo.environment["LATCHKEY_REQUIRE_KERNEL"] == "1"

/// Runs a shell command in a separate network namespace; nil when it fails.
private func inNamespace(_ line: String, input: [UInt8]) throws -> [UInt8]? {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("netfilter-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = folder.appendingPathComponent("input")
    try Data(input).write(to: source)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["-rn", "sh", "-c", line]
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    let output = Pipe()
    process.standardInput = try FileHandle(forReadingFrom: source)
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? Array(bytes) : nil
}

@Suite("Dumps of the running kernel", .enabled(if: kernelIsThere || kernelIsRequired, "needs unshare -rn and iptables"))
struct KernelTests {
    @Test("rules that are loaded, dumped, read and written stay the same", arguments: Dumps.names, ["", " -c"])
    func roundTrip(name: String, counters: String) throws {
        let tool = (name.hasPrefix("six") ? "ip6tables" : "iptables") + (name.contains("nft") ? "-nft" : "-legacy")
        let original = try RuleSet(bytes: Dumps.bytes(name), file: name)
        let line = "\(tool)-restore -c && \(tool)-save\(counters)"
        let dump = try #require(try inNamespace(line, input: Array(original.text.utf8)))
        let live = try RuleSet(bytes: dump, file: "live")
        #expect(Array(live.text.utf8) == dump)
        #expect(RuleSet.differences(from: original, to: live) == [])

        let again = try #require(try inNamespace(line, input: Array(live.normalized().text.utf8)))
        #expect(try RuleSet(bytes: again, file: "again").normalized() == original.normalized())
    }

    @Test("both tools read a file for both families as our reader does", arguments: ["nft", "legacy"], Family.allCases)
    func familyMarks(backend: String, family: Family) throws {
        let text = FamilyMarkTests.both
        let tool = (family == .ipv4 ? "iptables" : "ip6tables") + "-\(backend)"
        let dump = try #require(try inNamespace("\(tool)-restore && \(tool)-save", input: Array(text.utf8)))
        let read = try RuleSet(parsing: text, file: "mine", for: family)
        #expect(RuleSet.differences(from: read, to: try RuleSet(bytes: dump, file: "live")) == [])
    }

    @Test("a chain is renamed as this reader does it; the nft tool cannot rename a chain created in the same file")
    func renamedChain() throws {
        let text = """
            *filter
            :old - [0:0]
            -A INPUT -p tcp -j old
            -E old new
            -A INPUT -p udp -g new
            COMMIT

            """
        let dump = try #require(
            try inNamespace("iptables-legacy-restore && iptables-legacy-save", input: Array(text.utf8)))
        let read = try RuleSet(parsing: text, file: "mine")
        #expect(RuleSet.differences(from: read, to: try RuleSet(bytes: dump, file: "live")) == [])
    }

    @Test("iptables does not treat an apostrophe as a quotation mark either", arguments: ["nft", "legacy"])
    func apostrophe(backend: String) throws {
        let rules = "*filter\n-A INPUT -m comment --comment 'two words' -j ACCEPT\nCOMMIT\n"
        #expect(try inNamespace("iptables-\(backend)-restore", input: Array(rules.utf8)) == nil)
        let quoted = rules.replacing("'", with: "\"")
        #expect(try inNamespace("iptables-\(backend)-restore", input: Array(quoted.utf8)) != nil)
    }
}
