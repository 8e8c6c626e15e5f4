import Glibc
import TestSupport
import Testing

/// A signal to some of the processes of a change in one of its states.
struct SignalCell: Sendable, CustomTestStringConvertible {
    let state: String
    let signal: Int32
    let roles: [String]
    var backend = TestBackend.nft
    var existing = "replace"

    var testDescription: String {
        "\(signal) to \(roles.joined(separator: "+")) while \(state), \(backend), \(existing)"
    }

    /// Pending: signals that kill or stop, to each process alone and to two of three.
    static let pending: [SignalCell] = [SIGKILL, SIGSTOP].flatMap { signal in
        [["apply"], ["guard"], ["supervise"], ["apply", "guard"], ["apply", "supervise"]].map {
            SignalCell(state: "applied", signal: signal, roles: $0)
        }
    }

    /// While rules are being loaded, both when applying and when rolling back.
    static let loading: [SignalCell] = ["armed", "reverting"].flatMap { state in
        [SIGKILL, SIGSTOP].flatMap { signal in
            [["guard"], ["supervise"], ["apply", "guard"]].map {
                SignalCell(
                    state: state, signal: signal, roles: $0,
                    backend: state == "armed" ? .nft : .legacy, existing: signal == SIGKILL ? "keep" : "replace")
            }
        }
    }

    /// Before the guard is told to start; the program that would tell it is stopped meanwhile.
    static let prepared: [SignalCell] = [
        (SIGKILL, ["apply"]), (SIGSTOP, ["guard"]), (SIGKILL, ["guard"]), (SIGKILL, ["supervise"]),
    ].map { SignalCell(state: "prepared", signal: $0, roles: $1) }

    /// Every process of the change stopped or killed; the next command makes them continue.
    static let allAtOnce: [SignalCell] = ["prepared", "armed", "applied", "reverting"].flatMap { state in
        [SIGKILL, SIGSTOP].map { SignalCell(state: state, signal: $0, roles: everybody) }
    }
    private static let everybody = ["apply", "confirm", "guard", "supervise"]

    /// Confirmed, while the rules are made permanent.
    static let keeping: [SignalCell] = [
        (SIGKILL, ["guard"]), (SIGSTOP, ["guard"]), (SIGKILL, ["supervise"]), (SIGKILL, ["confirm", "guard"]),
        (SIGSTOP, ["guard", "supervise"]),
        (SIGKILL, everybody), (SIGSTOP, everybody),
    ].map { SignalCell(state: "kept", signal: $0, roles: $1) }

    var hitsEverybody: Bool { roles == Self.everybody }

    /// What a terminal, a shell or a hasty person sends: guard and supervisor ignore it.
    static let unheeded: [SignalCell] = [SIGTERM, SIGHUP, SIGINT].map {
        SignalCell(state: "applied", signal: $0, roles: ["apply", "guard", "supervise"])
    }
}

@Suite("Signals during a change", .kernel, .inTurn)
struct SignalTests {
    @Test(
        "the previous rules are back after any signal to any process",
        arguments: Sampled.cases(
            SignalCell.pending + SignalCell.loading + SignalCell.unheeded + SignalCell.prepared
                + SignalCell.allAtOnce))
    func survives(cell: SignalCell) async throws {
        try await FaultScene.with(cell.backend, existing: cell.existing) { scene in
            if cell.state == "prepared" {
                try await scene.putInFront("save", "sleep 0.4")
            } else if cell.state != "applied" {
                try await scene.putInFront("restore", "case \"$*\" in *--test*) ;; *) sleep 0.4;; esac")
            }
            if cell.state != "applied" { try scene.misbehave() }
            let waiting = try scene.startWaiting()
            if cell.state == "prepared" {
                try await until("the guard") { !scene.processes(["guard"]).isEmpty }
                scene.send(SIGSTOP, to: ["apply"])
            }
            try await scene.wait(for: [cell.state], seconds: 40)
            try await Self.hit(cell, in: scene)
            if cell.state == "prepared" { scene.send(SIGCONT, to: ["apply"]) }
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack("\(cell.testDescription)")
            if !cell.roles.contains("apply") {
                try await Self.expectStatus(3, of: waiting)
            } else {
                kill(waiting.id, SIGKILL)
            }
        }
    }

    @Test(
        "guard and supervisor killed again and again for 8 s: the previous rules are back",
        arguments: TestBackend.installed)
    func againAndAgain(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            try await scene.apply()
            let end = ContinuousClock.now + .seconds(8)
            while ContinuousClock.now < end {
                // One after the other, so that each can be seen to restart the other.
                scene.send(SIGKILL, to: ["guard"])
                try await Task.sleep(for: .milliseconds(600))
                scene.send(SIGKILL, to: ["supervise"])
                try await Task.sleep(for: .milliseconds(1_000))
            }
            // On a busy machine both may be dead by now. Then the kernel closes the gates, and the next command starts
            // a guard that cleans up.
            if scene.processes().isEmpty { _ = try await scene.latchkey(["status"]) }
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
            // Each may have started several to make sure that the other runs: none outlives the change.
            try await until("the end of guards and supervisors") { scene.processes(["guard", "supervise"]).isEmpty }
        }
    }

    /// Sends the signal; if it hits all processes, waits a while before the next step.
    private static func hit(_ cell: SignalCell, in scene: FaultScene) async throws {
        scene.send(cell.signal, to: cell.roles)
        guard cell.hitsEverybody else { return }
        if cell.signal == SIGSTOP {
            try await Task.sleep(for: .seconds(2))
            // The next command wakes the guard and its supervisor, but not the waiting programs.
            _ = try await scene.latchkey(["status"])
            scene.send(SIGCONT, to: ["apply", "confirm"])
        } else {
            try await scene.killAll(cell.roles)
            _ = try await scene.latchkey(["status"])
        }
    }

    @Test("a guard that is killed again and again gets one supervisor, even if several commands ask for it")
    func oneSupervisor() async throws {
        try await FaultScene.with(.nft) { scene in
            let waiting = try scene.startWaiting(deadline: 30)
            try await scene.wait(for: ["applied"], seconds: 40)
            for _ in 0..<60 {
                scene.send(SIGKILL, to: ["guard"])
                try await Task.sleep(for: .milliseconds(100))
                #expect(scene.processes(["supervise"]).count < 4)
            }
            // After so many kills, the guard may have rolled back by itself.
            #expect([0, 6].contains(try await scene.latchkey(["revert"]).status))
            try await scene.expectBack()
            try await Self.expectStatus(3, of: waiting)
        }
    }

    @Test(
        "after any signal to any process of a confirmed change, the rules are kept",
        arguments: Sampled.cases(SignalCell.keeping))
    func survivesKeeping(cell: SignalCell) async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.putInFront("restore", "sleep 0.5")
            try await scene.apply()
            try scene.misbehave()
            async let confirmed = scene.latchkey(["confirm"])
            try await scene.wait(for: ["kept"], seconds: 20)
            try await Self.hit(cell, in: scene)
            try await scene.wait(for: ["persisted"], seconds: 40)
            _ = try await confirmed
            let live = try await scene.server.dump(.ipv4, .nft)
            #expect(live.contains(":INPUT DROP"))
            #expect(live.contains("latchkey: service web"))
            #expect(!PendingRules.areIn(live))
        }
    }

    static func expectStatus(_ status: Int32, of child: Child) async throws {
        for _ in 0..<500 {
            if let ended = child.statusIfEnded() {
                #expect(ended == status)
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the waiting program did not end")
        kill(child.id, SIGKILL)
    }
}
