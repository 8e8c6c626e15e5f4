import TestSupport
import Testing

/// The documented JSON keys and their types, for every command that reports.
@Suite("JSON output", .kernel, .inTurn)
struct ReportTests {
    private let change = [
        "outcome": "text", "change": "text", "snapshot": "text", "reason": "text", "verified": "bool",
        "persisted": "texts",
    ]

    @Test("status, apply, confirm and revert print their keys, each with its type", arguments: TestBackend.installed)
    func shapes(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let idle = try JSON(await machine.latchkey("status", "--json", "--backend", backend.rawValue))
            #expect(
                idle.kinds == [
                    "state": "text", "change": "null", "secondsLeft": "null", "guard": "null", "backend": "text",
                    "snapshot": "null", "drift": "bool", "freshConnectionSeen": "bool", "temporary": "texts",
                    "observing": "bool",
                    "gate": "null",
                ])
            #expect(idle.text("state") == "idle")

            let applied = try JSON(await machine.apply(.keep, "--detach", "--json", "--deadline", "5m"))
            #expect(applied.kinds == change)
            #expect(applied.text("outcome") == "pending")
            let id = try #require(applied.text("change"))
            #expect(applied.text("snapshot") == id)

            let pending = try await machine.status()
            #expect(
                pending.kinds == [
                    "state": "text", "change": "text", "secondsLeft": "number", "guard": "object", "backend": "text",
                    "snapshot": "text", "drift": "bool", "freshConnectionSeen": "bool", "temporary": "texts",
                    "observing": "bool",
                    "gate": "text",
                ])
            #expect(pending.object("guard")?.kinds == ["pid": "number", "supervisor": "text"])
            #expect(pending.object("guard")?.text("supervisor") == "process")
            #expect(pending.text("state") == "pending")
            #expect(pending.text("backend") == backend.rawValue)
            #expect(pending.text("change") == id)
            #expect(pending.truth("drift") == false)
            #expect(pending.text("gate") == "recent")

            let reverted = try JSON(await machine.latchkey("revert", "--json"))
            #expect(reverted.kinds == change)
            #expect(reverted.text("outcome") == "reverted")
            #expect(reverted.text("change") == id)
            let after = try await machine.status()
            #expect(after.text("state") == "reverted")
            #expect(after.kinds["guard"] == "null" && after.kinds["secondsLeft"] == "null")

            try await machine.begin(.keep)
            let confirmed = try JSON(await machine.latchkey("confirm", "--json"))
            #expect(confirmed.kinds == change)
            #expect(confirmed.text("outcome") == "kept")
            #expect(confirmed.texts("persisted")?.isEmpty == false)

            // A refusal contains the name of the change in question.
            for command in ["confirm", "revert"] {
                let refused = try JSON(await machine.latchkey(command, "--json"))
                #expect(refused.kinds == change)
                #expect(refused.text("outcome") == "refused")
                #expect(refused.text("change") == confirmed.text("change"))
                #expect(refused.text("reason")?.contains("was already kept. Reason: ") == true)
            }
        }
    }

    @Test("results go to standard output, messages to standard error")
    func streams() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let applied = try await machine.apply(.keep, "--detach", "--deadline", "5m")
            #expect(applied.output == "")
            #expect(applied.errors.contains("confirm"))
            let status = try await machine.latchkey("status")
            #expect(status.output.contains("pending"))
            #expect(status.errors == "")
            let reverted = try await machine.latchkey("revert")
            #expect(reverted.output == "")
            #expect(!(applied.errors + reverted.errors).contains("\u{1B}"))
        }
    }

    @Test("a snapshot is accessible to root only, and has its checksums", arguments: TestBackend.installed)
    func snapshot(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let applied = try JSON(await machine.apply(.keep, "--detach", "--json", "--deadline", "5m"))
            let folder = "\(machine.root.path)/var/lib/latchkey/snapshots/\(applied.text("snapshot") ?? "")"
            let modes = try await mustRun([
                "find", folder, "\(machine.root.path)/run/latchkey", "-printf", "%y %m %f\n",
            ])
            for line in modes.split(separator: "\n") {
                #expect(line.hasPrefix("d 700") || line.hasPrefix("f 600") || line.hasPrefix("s 600"), "\(line)")
            }
            #expect(modes.contains("meta.json"))
            let sums = try await mustRun(["sh", "-c", "cd '\(folder)' && sha256sum -- *"])
            let meta = try machine.root.read("var/lib/latchkey/snapshots/\(applied.text("snapshot") ?? "")/meta.json")
            let rules = sums.split(separator: "\n").filter { $0.contains("rules") || $0.contains("ipsets") }
            #expect(rules.count == 3)
            for line in rules { #expect(meta.contains(line.prefix(64))) }
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }
}
