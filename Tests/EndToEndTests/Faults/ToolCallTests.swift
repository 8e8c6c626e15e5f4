import Foundation
import Glibc
import TestSupport
import Testing

/// A tool call that goes wrong, among all calls that a change makes from beginning to end.
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

    /// The minimum number of calls to each tool in a change that is not confirmed: the two backends alternate.
    private static let calls = ["save": 3, "restore": 3]

    /// The calls that a confirmation makes.
    static let confirming: [ToolCell] = [IPFamily.ipv4, .ipv6].enumerated().flatMap { place, family in
        [("save", 1), ("save", 2), ("save", 3), ("restore", 1), ("restore", 2)].map { action, call in
            ToolCell(
                backend: (call + place).isMultiple(of: 2) ? .nft : .legacy, family: family, action: action, call: call,
                fault: call == 1 ? .hangs : .fails)
        }
    }

    static let all: [ToolCell] = [IPFamily.ipv4, .ipv6].enumerated().flatMap { place, family in
        calls.sorted { $0.key < $1.key }.flatMap { action, calls in
            ((1...calls).map { ($0, Fault.fails) } + [(2, .hangs), (calls, .hangs)]).map { call, fault in
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
        "after any failure, the previous rules are active at the end, and the message says so",
        arguments: Sampled.cases(ToolCell.all))
    func goesWrong(cell: ToolCell) async throws {
        try await FaultScene.with(cell.backend, existing: cell.call < 2 ? "keep" : "replace") { scene in
            let count = "\(scene.root.path)/count"
            try await scene.putInFront(
                cell.action,
                "n=$(($(cat \(count) 2>/dev/null || echo 0) + 1)); echo $n > \(count); "
                    + "[ $n -ne \(cell.call) ] || { \(cell.fault.rawValue); }", of: [cell.family])
            try scene.misbehave()
            let finished = try await scene.latchkey(scene.words(10))
            // Spaces and line ends depend on the terminal.
            let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            switch finished.status {
            case 3: #expect(said.contains("The previous rules are active again (verified)."))
            case 1, 65, 69: #expect(said.contains("Nothing was changed"), "\(said)")
            default: Issue.record("it ended with \(finished.status): \(said)")
            }
            try await scene.expectBack("\(cell.testDescription)")
            let called = Int(try scene.root.read("count").split(separator: "\n").last ?? "") ?? 0
            #expect(called >= cell.call, "the call that should fail was never made")
        }
    }

    @Test(
        "after any failure at the confirmation, the new rules are kept or the previous ones are active",
        arguments: Sampled.cases(ToolCell.confirming))
    func goesWrongAtConfirm(cell: ToolCell) async throws {
        try await FaultScene.with(cell.backend, existing: cell.call < 2 ? "keep" : "replace") { scene in
            let count = "\(scene.root.path)/count"
            try await scene.putInFront(
                cell.action,
                "n=$(($(cat \(count) 2>/dev/null || echo 0) + 1)); echo $n > \(count); "
                    + "[ $n -ne \(cell.call) ] || { \(cell.fault.rawValue); }", of: [cell.family])
            try await scene.apply(deadline: 60)
            try scene.misbehave()
            let confirmed = try await scene.latchkey(["confirm"])
            let called = Int(try scene.root.read("count").split(separator: "\n").last ?? "") ?? 0
            #expect(called >= cell.call, "the call that should fail was never made")
            switch scene.journalState {
            case "persisted":
                #expect(confirmed.status == 0, "\(confirmed.errors)")
                for family in IPFamily.allCases {
                    try await until("the end of the pending rules") {
                        try await !PendingRules.areIn(scene.server.dump(family, cell.backend))
                    }
                    let input = EarlierRules.chain(
                        "INPUT", in: "filter", of: try await scene.server.dump(family, cell.backend))
                    #expect(input.contains { $0.contains("latchkey: service web") })
                    #expect(!input.contains { $0.contains("--dport 2200 ") })
                }
            case "reverted":
                #expect(confirmed.status == 1, "\(confirmed.errors)")
                #expect(confirmed.errors.contains("previous rules"), "\(confirmed.errors)")
                try await scene.expectBack("\(cell.testDescription)")
            case "applied":
                // It is unknown whether the new rules are complete: they stay pending.
                #expect(confirmed.status == 1, "\(confirmed.errors)")
                try await scene.expectUntouched()
                #expect(try await scene.latchkey(["confirm"]).status == 0)
            case let state: Issue.record("the journal says \(state ?? "nothing"): \(confirmed.errors)")
            }
        }
    }

    @Test(
        "without the tools the previous rules are active at the deadline; once the tools are back the rest is removed",
        arguments: TestBackend.installed)
    func missing(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            try await scene.putInFront("save", ":")
            try await scene.putInFront("restore", ":")
            let tools = IPFamily.allCases.flatMap { family in
                ["save", "restore"].map { "\(scene.root.path)/usr/sbin/\(backend.tool(family, $0))" }
            }
            try await scene.apply()
            for tool in tools { try await mustRun(["mv", tool, tool + ".gone"]) }
            try await scene.wait(for: ["reverted"], seconds: 20)
            #expect(scene.server.areGateListsEmpty)
            try await scene.expectUntouched()
            for tool in tools { try await mustRun(["mv", tool + ".gone", tool]) }
            try await scene.expectBack()
        }
    }
}
