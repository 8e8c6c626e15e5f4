import Foundation
import Glibc
import TestSupport
import Testing

/// A call of a tool that goes wrong, of all that a change makes from its beginning to its end.
struct ToolCell: Sendable, CustomTestStringConvertible {
    enum Fault: String, Sendable {
        case fails = "echo broken >&2; exit 1"
        case hangs = "exec sleep 100"
    }

    let backend: TestBackend
    let family: IPFamily
    let action: String
    let call: Int
    let fault: Fault

    var testDescription: String { "\(backend.tool(family, action)), call \(call) \(fault)" }

    /// How often a change that nobody keeps calls each tool, at the least: both backends take their turn.
    private static let calls = ["save": 7, "restore": 5]

    static let all: [ToolCell] = [IPFamily.ipv4, .ipv6].enumerated().flatMap { place, family in
        calls.sorted { $0.key < $1.key }.flatMap { action, calls in
            ((1...calls).map { ($0, Fault.fails) } + [(2, .hangs), (4, .hangs), (calls, .hangs)]).map { call, fault in
                ToolCell(
                    backend: (call + place).isMultiple(of: 2) ? .nft : .legacy, family: family, action: action,
                    call: call, fault: fault)
            }
        }
    }
}

@Suite("Every call of a tool", .kernel, .inTurn)
struct ToolCallTests {
    @Test(
        "whichever goes wrong, the earlier rules are in force at the end, and that is what is said",
        arguments: ToolCell.all)
    func goesWrong(cell: ToolCell) async throws {
        try await FaultScene.with(cell.backend, existing: cell.call < 4 ? "keep" : "replace") { scene in
            let count = "\(scene.root.path)/count"
            try await scene.putInFront(
                cell.action,
                "n=$(($(cat \(count) 2>/dev/null || echo 0) + 1)); echo $n > \(count); "
                    + "[ $n -ne \(cell.call) ] || { \(cell.fault.rawValue); }", of: [cell.family])
            try scene.misbehave()
            let finished = try await scene.latchkey(scene.words(10))
            // Spaces and line ends are the terminal's affair.
            let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            switch finished.status {
            case 3: #expect(said.contains("Verified against the snapshot."))
            case 1, 65: #expect(said.contains("nothing has been changed"))
            default: Issue.record("it ended with \(finished.status): \(said)")
            }
            try await scene.expectBack("\(cell.testDescription)")
            let called = Int(try scene.root.read("count").split(separator: "\n").last ?? "") ?? 0
            #expect(called >= cell.call, "the call that is to go wrong never came")
        }
    }

    @Test(
        "a tool that is gone while the earlier rules come back, and there again later",
        arguments: TestBackend.installed,
        ["save", "restore"])
    func missing(backend: TestBackend, action: String) async throws {
        try await FaultScene.with(backend) { scene in
            try await scene.putInFront(action, ":")
            let tools = IPFamily.allCases.map { "\(scene.root.path)/usr/sbin/\(backend.tool($0, action))" }
            try await scene.apply()
            for tool in tools { try await mustRun(["mv", tool, tool + ".gone"]) }
            try await scene.wait(for: ["reverting"], seconds: 20)
            try await Task.sleep(for: .seconds(4))
            #expect(scene.journalState == "reverting")
            for tool in tools { try await mustRun(["mv", tool + ".gone", tool]) }
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
        }
    }
}
