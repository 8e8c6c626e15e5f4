import Foundation
import Glibc
import TestSupport
import Testing

/// With every process dead, the kernel itself stops dropping.
@Suite("The kernel's own expiry", .kernel, .inTurn)
struct ExpiryTests {
    @Test(
        "everything killed at once: the door opens by itself, and the next command puts all back",
        arguments: TestBackend.installed)
    func everythingKilled(backend: TestBackend) async throws {
        let pair = try await NamespacePair()
        defer { pair.close() }
        try await FaultScene.with(backend, in: pair.server) { scene in
            try await scene.apply()
            for family in IPFamily.allCases {
                #expect(try await !reaches(7, from: pair.outside, family), "port 7 is closed by the new rules")
            }
            // Until none is left: each may have started the other between two looks.
            var quiet = 0
            while quiet < 5 {
                let left = scene.processes()
                for pid in left { kill(pid, SIGKILL) }
                quiet = left.isEmpty ? quiet + 1 : 0
            }
            #expect(scene.processes().isEmpty)

            // Deadline 10 s, and 30 s of grace at the most.
            let end = ContinuousClock.now + .seconds(40)
            var isOpen = false
            while !isOpen, ContinuousClock.now < end {
                isOpen = try await reaches(7, from: pair.outside, .ipv4)
                if isOpen { isOpen = try await reaches(7, from: pair.outside, .ipv6) }
            }
            #expect(isOpen, "the kernel goes on dropping though the time is over")

            let status = try await scene.latchkey(["status", "--json"])
            #expect(status.status == 0)
            try await scene.wait(for: ["reverted"], seconds: 20)
            try await scene.expectBack()
        }
    }

    @Test("the xtables lock held for good: the door opens by itself, and the rules return once the lock is free")
    func lockForGood() async throws {
        let pair = try await NamespacePair()
        defer { pair.close() }
        try await FaultScene.with(.legacy, in: pair.server) { scene in
            try await scene.apply()
            let holder = try scene.server.start(["flock", "--no-fork", "/run/xtables.lock", "sleep", "120"])
            defer { kill(holder.id, SIGKILL) }
            let end = ContinuousClock.now + .seconds(40)
            var isOpen = false
            while !isOpen, ContinuousClock.now < end {
                isOpen = try await reaches(7, from: pair.outside, .ipv4)
                if isOpen { isOpen = try await reaches(7, from: pair.outside, .ipv6) }
            }
            #expect(isOpen, "the kernel goes on dropping though the time is over")
            // Not told to be back before they are.
            #expect(scene.journalState == "reverting")
            kill(holder.id, SIGKILL)
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack()
        }
    }

    @Test("the xtables lock held for good when a change begins: it is refused, and nothing has changed")
    func lockedBefore() async throws {
        try await FaultScene.with(.legacy) { scene in
            let holder = try scene.server.start(["flock", "--no-fork", "/run/xtables.lock", "sleep", "120"])
            defer { kill(holder.id, SIGKILL) }
            let finished = try await scene.latchkey(scene.words(10))
            #expect(finished.status == 1)
            #expect(finished.errors.contains("nothing has been changed"))
            #expect(finished.errors.contains("xtables lock"))
            try await scene.expectBack()
        }
    }

    @Test(
        "keeping takes the expiry out; the kept rules drop for good", arguments: TestBackend.installed,
        ["keep", "replace"])
    func kept(backend: TestBackend, existing: String) async throws {
        try await FaultScene.with(backend, existing: existing) { scene in
            try await scene.apply()
            #expect(try await scene.server.dump(.ipv4, backend).contains("--datestop"))
            #expect(try await scene.server.dump(.ipv4, backend).contains(":INPUT ACCEPT"))
            let confirmed = try await scene.latchkey(["confirm"])
            #expect(confirmed.status == 0, "\(confirmed.errors)")
            for family in IPFamily.allCases {
                let live = try await scene.server.dump(family, backend)
                #expect(!live.contains("datestop"))
                #expect(live.contains(":INPUT DROP"))
            }
        }
    }

    @Test("rules that cannot be made permanent are not left to expire: they are reverted")
    func cannotSettle() async throws {
        try await FaultScene.with(.nft) { scene in
            // The way back is left open: it names FORWARD's policy DROP, which the new rules do not.
            try await scene.putInFront(
                "restore",
                "input=$(cat); case \"$input\" in *':FORWARD DROP'*) ;; *) exit 1;; esac; "
                    + "printf '%s\\n' \"$input\" | $real \"$@\"; exit $?")
            try await scene.apply()
            try scene.misbehave()
            let confirmed = try await scene.latchkey(["confirm", "--json"])
            #expect(confirmed.status == 1)
            let said = confirmed.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("The rules could not be made permanent."))
            #expect(said.contains("The earlier rules are back."), "what is in force now is said")
            try await scene.wait(for: ["reverted"], seconds: 30)
            try await scene.expectBack()
        }
    }

    @Test("rules written by hand are never in force without an expiry", arguments: TestBackend.installed)
    func byHand(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            let loads = "\(scene.root.path)/loads"
            try await scene.putInFront(
                "restore",
                "input=$(cat); case \"$*\" in *--test*) ;; *) printf '%s\\n' \"$input\" >> \(loads);; esac; "
                    + "printf '%s\\n' \"$input\" | $real \"$@\"; exit $?", of: [.ipv4])
            try scene.misbehave()
            let rules = try scene.root.write("*filter\n-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n", to: "rules")
            let applied = try await scene.latchkey([
                "apply", "--rules", rules, "--backend", backend.rawValue, "--no-rehearsal", "--detach",
            ])
            #expect(applied.status == 0, "\(applied.errors)")
            let loaded = try scene.root.read("loads")
            #expect(loaded.contains("--datestop"))
            #expect(!loaded.contains("-P INPUT DROP") && !loaded.contains(":INPUT DROP"))
            #expect(try await scene.latchkey(["confirm"]).status == 0)
            #expect(try await scene.server.dump(.ipv4, backend).contains(":INPUT DROP"))
        }
    }

    /// Whether a TCP packet to a port where nobody listens is answered with a reset: it has passed the rules then.
    private func reaches(_ port: Int, from outside: NetworkNamespace, _ family: IPFamily) async throws -> Bool {
        let address = NamespacePair.bare(NamespacePair.serverAddresses, family)
        let knock = try await outside.run(["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/\(address)/\(port)"])
        // 124: timeout(1) ended a connection attempt that nobody answered.
        return knock.status != 124
    }
}
