import Foundation
import Netfilter
import Policy
import Testing

@testable import Interview

/// Whole conversations as they appear on screen, in the folder `Screens`.
///
/// `LATCHKEY_RECORD=1 swift test --filter InterviewTests.GoldenTests` records these files again. The run still fails;
/// read the difference before you commit it.
@Suite("Whole screens", .serialized)
struct GoldenTests {
    private static let isRecording = ProcessInfo.processInfo.environment["LATCHKEY_RECORD"] == "1"

    @Test("the screens match the recorded ones")
    func screens() async throws {
        var screens: [String: String] = [:]
        for columns in [80, 40] {
            screens["fresh server \(columns)"] = try await conversation(try Machine.discovery(), columns, Self.fresh)
            screens["crowded server \(columns)"] = try await conversation(
                try Machine.crowded(), columns, Self.crowded, reports: [Self.failure, .allWell])
            screens["nothing known \(columns)"] = try await conversation(Discovery(), columns, Self.explained)
            screens["change \(columns)"] = await change(columns)
        }
        if Self.isRecording { try Self.record(screens) }
        #expect(screens.keys.sorted() == Self.recorded.keys.sorted())
        for (name, screen) in screens {
            #expect(screen == Self.recorded[name], "\(name):\n\(screen)")
            let columns = name.hasSuffix(" 40") ? 40 : 80
            for line in screen.split(separator: "\n") where !line.contains(" > ") {
                #expect(line.count <= columns, "\(name): \(line)")
            }
            for line in screen.split(separator: "\n") { #expect(line.count <= 80, "\(name): \(line)") }
        }
        #expect(!Self.isRecording, "recorded; read the difference")
    }

    private static let fresh: [String] = [
        "192.168.1.33 192.168.1.300", "192.168.1.33", "", "", "8080/tcp", "nobody", "rules", "?", "apply",
    ]
    private static let crowded: [String] = [
        "", "admins", "mail from 192.168.1.0/24, web, postgres from everyone", "show", "60000-61000/udp", "everyone",
        "replace", "answers", "edit 2", "everyone", "diff", "save", "apply",
    ]
    private static let explained: [String] = [
        "?", "none", "?", "", "?", "none", "?", "", "?", "back", "none", "", "quit",
    ]
    private static let failure = RehearsalReport.failed(
        probes: 64,
        differences: [
            .init(
                from: "203.0.113.7", packet: "22/tcp", expectedOpen: true,
                rule: "-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with icmp-port-unreachable", question: .ssh)
        ])

    private func conversation(
        _ discovery: Discovery, _ columns: Int, _ lines: [String], reports: [RehearsalReport] = [.allWell]
    ) async throws -> String {
        let prompter = ScriptedPrompter(lines.map { .type($0, at: "> ") }, columns: columns)
        let actions = FakeWizardActions(
            .success(
                ChangeSummary(rulesRemoved: 0, rulesAdded: 13, replacedRules: discovery.unownedInputRules)),
            reports: reports)
        _ = await Conversation(prompter: prompter, actions: actions).run(
            try Machine.wizard(discovery, columns: columns))
        await prompter.finish()
        return await prompter.transcript
    }

    private func change(_ columns: Int) async -> String {
        var screen = PendingChangeScreen(
            secondsLeft: 60, loginTest: .login(command: "ssh ops@198.51.100.20"), screen: Screen(columns: columns))
        var text = screen.begin().text + "\n"
        func type(_ line: String) {
            text += screen.prompt + line + "\n"
            text += screen.input(line).lines.map { $0.text + "\n" }.joined()
        }
        screen.tick(secondsLeft: 47)
        type("keep")
        type("?")
        type("quit")
        text += screen.prompt + "^C\n" + screen.interrupted().lines.text + "\n"
        text += screen.freshConnection(from: try? Machine.address("203.0.113.7")).text + "\n"
        screen.tick(secondsLeft: 31)
        type("keep")
        text += screen.ended(.kept(saved: ["/etc/iptables/rules.v4", "rules.v6"], undo: "20261122-154210")).text + "\n"
        return text
    }

    /// A screen's constant and file: "change 40" is `change40` in `Change40.swift`.
    private static func record(_ screens: [String: String]) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Screens")
        for (name, screen) in screens {
            let words = name.split(separator: " ").map(\.capitalized).joined()
            var file = "// Written by LATCHKEY_RECORD=1, see GoldenTests.\n"
            file += "let \(words.prefix(1).lowercased() + words.dropFirst()) = #\"\"\"\n"
            for line in screen.split(separator: "\n", omittingEmptySubsequences: false) {
                file += line.isEmpty ? "\n" : "    \(line)\n"
            }
            file += "    \"\"\"#\n"
            try file.write(to: folder.appendingPathComponent("\(words).swift"), atomically: true, encoding: .utf8)
        }
    }

    private static let recorded = [
        "change 40": change40,
        "change 80": change80,
        "crowded server 40": crowdedServer40,
        "crowded server 80": crowdedServer80,
        "fresh server 40": freshServer40,
        "fresh server 80": freshServer80,
        "nothing known 40": nothingKnown40,
        "nothing known 80": nothingKnown80,
    ]
}
