import Foundation
import Glibc
import TestSupport
import Testing

/// Tools that fail, hang or are missing, locks that are held, records that are damaged.
@Suite("Tools, locks and records that fail", .kernel, .inTurn)
struct ToolTests {
    @Test("IPv6 that cannot be loaded takes IPv4 back too", arguments: TestBackend.installed, ["keep", "replace"])
    func secondFamilyFails(backend: TestBackend, existing: String) async throws {
        try await FaultScene.with(backend, existing: existing) { scene in
            // Only the new rules are refused: the earlier ones name port 2200.
            try await scene.putInFront(
                "restore",
                "case \"$*\" in *--test*) exec $real \"$@\";; esac; input=$(cat); "
                    + "case \"$input\" in *latchkey*services*) echo broken >&2; exit 1;; esac; "
                    + "printf '%s\\n' \"$input\" | $real \"$@\"; exit $?", of: [.ipv6])
            try scene.misbehave()
            let waiting = try scene.startWaiting()
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack()
            kill(waiting.id, SIGKILL)
        }
    }

    @Test(
        "all rules of a family come into force in one restore", arguments: TestBackend.installed, ["keep", "replace"])
    func oneRestore(backend: TestBackend, existing: String) async throws {
        try await FaultScene.with(backend, existing: existing) { scene in
            try await scene.putInFront(
                "restore",
                """
                case "$*" in *--test*) exec $real "$@" ;; esac
                input=$(cat)
                printf '%s\\n' "$input" | grep -c "latchkey: service" >> \(scene.root.path)/loads
                printf '%s\\n' "$input" | $real "$@"
                exit
                """)
            try scene.misbehave()
            try await scene.apply()
            let planned = try await scene.input().split(separator: "\n").filter { $0.contains("latchkey: service") }
            #expect(!planned.isEmpty)
            // One for each family, with all of them; what makes the kernel track connections has none.
            let loads = try scene.root.read("loads").split(separator: "\n").filter { $0 != "0" }
            #expect(loads == ["\(planned.count)", "\(planned.count)"])
        }
    }

    @Test("a restore that fails six times on the way back is tried again")
    func revertIsTriedAgain() async throws {
        try await FaultScene.with(.nft) { scene in
            let count = "\(scene.root.path)/count"
            try await scene.putInFront(
                "restore", "echo x >> \(count); [ $(wc -l < \(count)) -gt 6 ] || { echo broken >&2; exit 1; }")
            try await scene.apply()
            try scene.misbehave()
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
            #expect(try scene.root.read("count").split(separator: "\n").count > 6)
        }
    }

    @Test("the xtables lock held by somebody else for 12 s delays the way back, no more")
    func lockHeld() async throws {
        try await FaultScene.with(.legacy) { scene in
            try await scene.apply()
            let holder = try scene.server.start(["flock", "/run/xtables.lock", "sleep", "22"])
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack()
            kill(holder.id, SIGKILL)
        }
    }

    @Test("a damaged snapshot is never applied: the door is opened instead")
    func damagedSnapshot() async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply()
            let snapshots = "var/lib/latchkey/snapshots"
            let id = try #require(
                try FileManager.default.contentsOfDirectory(atPath: "\(scene.root.path)/\(snapshots)").first)
            try scene.root.write("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", to: "\(snapshots)/\(id)/ipv4.rules")
            // The guard that has the snapshot in memory dies; the next has only the damaged file.
            scene.send(SIGKILL, to: ["guard"])
            try await scene.wait(for: ["failed"], seconds: 60)
            let live = try await scene.server.dump(.ipv4, .nft)
            let first = live.split(separator: "\n").first { $0.hasPrefix("-A INPUT") }
            #expect(first?.contains("--dport 22 ") == true)
            #expect(first?.contains("emergency opening") == true)
        }
    }

    @Test("iptables-restore broken for good: the door is opened by iptables itself", arguments: TestBackend.installed)
    func restoreBroken(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            try await scene.putInFront("restore", "echo broken >&2; exit 1")
            let waiting = try scene.startWaiting()
            try await scene.wait(for: ["applied"], seconds: 40)
            try scene.misbehave()
            try await scene.wait(for: ["failed"], seconds: 90)
            for family in IPFamily.allCases {
                let live = try await scene.server.dump(family, backend)
                let first = live.split(separator: "\n").first { $0.hasPrefix("-A INPUT") }
                #expect(first?.contains("--dport 22 ") == true && first?.contains("emergency opening") == true)
            }
            var told: Int32?
            try await until("the outcome is told") {
                told = waiting.statusIfEnded()
                return told != nil
            }
            #expect(told == 8)
        }
    }

    @Test("a damaged journal: the change is reverted from its snapshot, and whoever waits is told so")
    func damagedJournal() async throws {
        try await FaultScene.with(.nft) { scene in
            let waiting = try scene.startWaiting()
            try await scene.wait(for: ["applied"], seconds: 40)
            scene.send(SIGSTOP, to: ["supervise"])
            scene.send(SIGKILL, to: ["guard"])
            try scene.root.write("{ this is no journal", to: "run/latchkey/journal.json")
            scene.send(SIGCONT, to: ["supervise"])
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
            var told: Int32?
            try await until("the outcome is told") {
                told = waiting.statusIfEnded()
                return told != nil
            }
            #expect(told == 3)
        }
    }

    @Test(
        "a damaged journal with nothing pending is set aside, and stops nobody",
        arguments: ["apply", "status", "prune"])
    func damagedAfterwards(command: String) async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply()
            #expect(try await scene.latchkey(["confirm"]).status == 0)
            try await until("the guard is gone") { scene.processes(["guard", "supervise"]).isEmpty }
            try scene.root.write("{", to: "run/latchkey/journal.json")
            let words = ["status": ["status"], "prune": ["snapshots", "prune", "--keep", "1"]]
            let finished = try await scene.latchkey(words[command] ?? scene.words(10) + ["--detach"])
            #expect(finished.status == 0)
            #expect(finished.errors.contains("set aside"))
            #expect(try scene.root.read("run/latchkey/journal.json.damaged") == "{")
        }
    }

    @Test("a damaged journal and nobody left alive: the next command has the change reverted")
    func damagedAndDead() async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply(deadline: 300)
            try await until("all are dead") {
                scene.send(SIGKILL, to: ["supervise", "guard"])
                return scene.processes(["guard", "supervise"]).isEmpty
            }
            try scene.root.write("{", to: "run/latchkey/journal.json")
            #expect(try await scene.latchkey(["status"]).status == 0)
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
        }
    }

    @Test(
        "what another program writes inside the window, and nobody could by hand, does not keep the rules from returning",
        arguments: [
            "iptables-nft -A FORWARD -m comment --comment \"$(printf 'caf\\351')\" -j ACCEPT",
            "iptables-nft -A FORWARD -m comment --comment \"$(printf 'two\\nlines')\" -j ACCEPT",
            "iptables-nft -A FORWARD -m comment --comment \"$(printf 'a\\033b')\" -j ACCEPT",
            "iptables-nft -A FORWARD -m recent --name \"'x'\" --set",
            "iptables-nft -A FORWARD -m recent --name 'x\"y' --set",
            "iptables-nft -t mangle -A PREROUTING -m recent --name '\"x' --set",
            // INPUT itself comes back without it: nobody can give iptables-restore this rule.
            "iptables-nft -I INPUT 1 -s 203.0.113.9 -m comment --comment \"$(printf 'two\\nlines')\" -j DROP",
            "iptables-nft -A INPUT -m recent --name 'x\"y' --set",
            "nft add chain ip filter this_is_a_chain_with_a_name_longer_than_28_bytes",
        ])
    func oddNeighbour(script: String) async throws {
        try await FaultScene.with(.nft, existing: "keep") { scene in
            let before = try await scene.input()
            try await scene.apply()
            try await scene.server.mustRun(["sh", "-c", script])
            #expect(try await scene.latchkey(["revert"]).status == 0)
            #expect(try await scene.input() == before)
            // And it keeps nobody from a change later.
            try await scene.apply()
            #expect(try await scene.latchkey(["confirm"]).status == 0)
            #expect(try await scene.input().contains("latchkey: service web"))
        }
    }

    @Test(
        "what could not be put back is refused with its rule named, before anything changes",
        arguments: [
            ("replace", "-A FORWARD -m comment --comment \"$(printf 'two\\nlines')\" -j ACCEPT"),
            ("replace", "-A FORWARD -m recent --name 'x\"y' --set"),
            ("keep", "-A INPUT -m recent --name 'x\"y' --set"),
        ])
    func noWayBack(existing: String, rule: String) async throws {
        try await FaultScene.with(.nft, existing: existing) { scene in
            try await scene.server.mustRun(["sh", "-c", "iptables-nft \(rule)"])
            let before = try await scene.server.dump(.ipv4, .nft)
            let finished = try await scene.latchkey(scene.words(10))
            #expect(finished.status == 1)
            let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("could not be put back"))
            #expect(said.contains("-m comment") || said.contains("-m recent"))
            #expect(try await scene.server.dump(.ipv4, .nft) == before)
        }
    }

    @Test(
        "somebody flushes everything while the change is pending: the earlier rules are back",
        arguments: ["keep", "replace"])
    func flushed(existing: String) async throws {
        try await FaultScene.with(.nft, existing: existing) { scene in
            try await scene.apply()
            for family in IPFamily.allCases {
                try await scene.server.mustRun([TestBackend.nft.tool(family, nil), "-F", "INPUT"])
            }
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
        }
    }
}
