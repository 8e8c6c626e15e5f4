import Foundation
import Glibc
import TestSupport
import Testing

/// Tools that fail, hang or are missing, locks that are held, records that are damaged.
@Suite("Tools, locks and records that fail", .kernel, .inTurn)
struct ToolTests {
    @Test("if IPv6 cannot be loaded, IPv4 is rolled back too", arguments: TestBackend.installed, ["keep", "replace"])
    func secondFamilyFails(backend: TestBackend, existing: String) async throws {
        try await FaultScene.with(backend, existing: existing) { scene in
            // Only the new rules are refused.
            try await scene.putInFront(
                "restore",
                "input=$(cat); case \"$input\" in *'latchkey: service'*) echo broken | tee \(scene.root.path)/refused >&2; "
                    + "exit 1;; esac; printf '%s\\n' \"$input\" | $real \"$@\"; exit $?", of: [.ipv6])
            try scene.misbehave()
            let waiting = try scene.startWaiting()
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack()
            try await SignalTests.expectStatus(3, of: waiting)
            #expect(try scene.root.read("refused") == "broken\n", "the load was reached")
        }
    }

    @Test(
        "all rules of a family are activated in one restore, and kept in another", arguments: TestBackend.installed,
        ["keep", "replace"])
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
            let live = try await scene.server.dump(.ipv4, backend)
            let planned = EarlierRules.chain("latchkey-trial-INPUT", in: "filter", of: live)
                .filter { $0.contains("latchkey: service") }
            #expect(!planned.isEmpty)
            // One per family, with all of its rules.
            let loads = try scene.root.read("loads").split(separator: "\n").filter { $0 != "0" }
            #expect(loads == ["\(planned.count)", "\(planned.count)"])
            #expect(try await scene.latchkey(["confirm"]).status == 0)
            let all = try scene.root.read("loads").split(separator: "\n").filter { $0 != "0" }
            #expect(all == loads + loads)
        }
    }

    @Test("a cleanup that fails six times is tried again while the previous rules are active")
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

    @Test("a damaged snapshot is never applied: a rollback does not need one", arguments: ["deadline", "revert"])
    func damagedSnapshot(end: String) async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply(deadline: end == "deadline" ? 10 : 300)
            try await scene.damageSnapshot()
            // The guard that has the snapshot in memory is killed; the next one has only the damaged file.
            scene.send(SIGKILL, to: ["guard"])
            // The next guard may have rolled back by itself.
            if end == "revert" { #expect([0, 6].contains(try await scene.latchkey(["revert"]).status)) }
            try await scene.wait(for: ["reverted"], seconds: 60)
            try await scene.expectBack()
        }
    }

    @Test("with a damaged snapshot a confirmation keeps the tried rules, or the previous rules stay")
    func damagedAndConfirmed() async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply(deadline: 60)
            try await scene.damageSnapshot()
            scene.send(SIGKILL, to: ["guard"])
            let confirmed = try await scene.latchkey(["confirm"])
            if confirmed.status == 0 {
                for family in IPFamily.allCases {
                    let live = try await scene.server.dump(family, .nft)
                    let input = EarlierRules.chain("INPUT", in: "filter", of: live)
                    #expect(!input.isEmpty && input.allSatisfy { $0.contains("latchkey: ") }, "\(input)")
                }
            } else {
                try await scene.wait(for: ["reverted"], seconds: 60)
                try await scene.expectBack()
            }
        }
    }

    @Test("even with a broken iptables-restore the previous rules become active", arguments: TestBackend.installed)
    func restoreBroken(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            try await scene.putInFront("restore", "echo broken >&2; exit 1")
            let waiting = try scene.startWaiting()
            try await scene.wait(for: ["applied"], seconds: 40)
            try scene.misbehave()
            try await scene.wait(for: ["reverted"], seconds: 20)
            #expect(scene.server.areGateListsEmpty)
            try await scene.expectUntouched()
            try await SignalTests.expectStatus(3, of: waiting)
        }
    }

    @Test(
        "if partial permanent rules cannot be undone, iptables itself opens the server",
        arguments: TestBackend.installed)
    func opened(backend: TestBackend) async throws {
        try await FaultScene.with(backend) { scene in
            // The permanent IPv4 rules are loaded; after that every load fails.
            try await scene.putInFront(
                "restore",
                "[ -e \(scene.root.path)/once ] || { touch \(scene.root.path)/once; exec $real \"$@\"; }; "
                    + "echo broken >&2; exit 1", of: [.ipv4])
            try await scene.putInFront(
                "restore",
                "for i in 1 2 3 4 5 6 7 8; do [ -e \(scene.root.path)/once ] || sleep 0.1; done; echo broken >&2; exit 1",
                of: [.ipv6])
            let waiting = try scene.startWaiting(deadline: 60)
            try await scene.wait(for: ["applied"], seconds: 40)
            try scene.misbehave()
            #expect(try await scene.latchkey(["confirm"]).status == 8)
            try await scene.wait(for: ["failed"], seconds: 90)
            for family in IPFamily.allCases {
                let live = try await scene.server.dump(family, backend)
                let first = live.split(separator: "\n").first { $0.hasPrefix("-A INPUT") }
                #expect(first?.contains("--dport 22 ") == true && first?.contains("emergency opening") == true)
            }
            try await SignalTests.expectStatus(8, of: waiting)
        }
    }

    @Test("with a damaged journal the change is reverted from its snapshot, and the waiting program is told")
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
            try await until("the outcome") {
                told = waiting.statusIfEnded()
                return told != nil
            }
            #expect(told == 3)
        }
    }

    @Test(
        "a damaged journal without a pending change is moved aside, and commands continue to work",
        arguments: ["apply", "status", "prune"])
    func damagedAfterwards(command: String) async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply()
            #expect(try await scene.latchkey(["confirm"]).status == 0)
            try await until("the end of the guard") { scene.processes(["guard", "supervise"]).isEmpty }
            try scene.root.write("{", to: "run/latchkey/journal.json")
            let words = ["status": ["status"], "prune": ["snapshots", "prune", "--keep", "1"]]
            let finished = try await scene.latchkey(words[command] ?? scene.words(10) + ["--detach"])
            #expect(finished.status == 0)
            #expect(finished.errors.contains("was renamed to"))
            #expect(try scene.root.read("run/latchkey/journal.json.damaged") == "{")
        }
    }

    @Test("with a damaged journal and all processes dead, the next command reverts the change")
    func damagedAndDead() async throws {
        try await FaultScene.with(.nft) { scene in
            try await scene.apply(deadline: 300)
            try await until("the death of all processes") {
                scene.send(SIGKILL, to: ["supervise", "guard"])
                return scene.processes(["guard", "supervise"]).isEmpty
            }
            try scene.root.write("{", to: "run/latchkey/journal.json")
            #expect(try await scene.latchkey(["status"]).status == 0)
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await scene.expectBack()
        }
    }

    private static let oddNeighbours = [
        "iptables-nft -A FORWARD -m comment --comment \"$(printf 'caf\\351')\" -j ACCEPT",
        "iptables-nft -A FORWARD -m comment --comment \"$(printf 'two\\nlines')\" -j ACCEPT",
        "iptables-nft -A FORWARD -m comment --comment \"$(printf 'a\\033b')\" -j ACCEPT",
        "iptables-nft -A FORWARD -m recent --name \"'x'\" --set",
        "iptables-nft -A FORWARD -m recent --name 'x\"y' --set",
        "iptables-nft -t mangle -A PREROUTING -m recent --name '\"x' --set",
        "iptables-nft -I INPUT 1 -s 203.0.113.9 -m comment --comment \"$(printf 'two\\nlines')\" -j DROP",
        "iptables-nft -A INPUT -m recent --name 'x\"y' --set",
        "nft add chain ip filter this_is_a_chain_with_a_name_longer_than_28_bytes",
        "iptables-nft -I INPUT 1 -p tcp --dport 22 -m hashlimit --hashlimit-above 30/min --hashlimit-mode srcip "
            + "--hashlimit-name 'ssh guard' -j DROP",
        "iptables-nft -I INPUT 1 -i 'e h9' -j DROP",
        "iptables-nft -A FORWARD -j IDLETIMER --timeout 60 --label 'a b'",
    ].flatMap { [($0, "revert"), ($0, "confirm")] }

    @Test(
        "rules of another program during the countdown that cannot be written by hand stay, and do not block its end",
        arguments: Sampled.cases(oddNeighbours, oneOf: 3))
    func oddNeighbour(script: String, end: String) async throws {
        try await FaultScene.with(.nft, existing: "keep") { scene in
            func listing() async throws -> String { try await scene.server.mustRun(["nft", "-s", "list", "ruleset"]) }
            try await scene.apply(deadline: 300)
            try await scene.server.mustRun(["sh", "-c", script])
            let ended = try await scene.latchkey([end])
            #expect(ended.status == 0, "\(ended.errors)")
            try await until("the end of the pending rules") { try await !listing().contains("latchkey-trial") }
            let after = try await listing()
            // The same without a change.
            try await FaultScene.with(.nft) { other in
                try await other.server.mustRun(["sh", "-c", script])
                let alone = try await other.server.mustRun(["nft", "-s", "list", "ruleset"])
                if end == "revert" {
                    #expect(after == alone)
                } else {
                    let odd = alone.split(separator: "\n").filter { !scene.listingBefore.contains($0) }
                    #expect(!odd.isEmpty && odd.allSatisfy { after.contains($0) }, "\(after)")
                    // nft does not print the comments of iptables.
                    #expect(after.contains("tcp dport { 80, 443 }"))
                }
            }
        }
    }

    @Test(
        "a rule that could not be rewritten is refused and named before anything changes",
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
            #expect(finished.status == 69, "\(finished.errors)")
            let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("would have to rewrite a rule"), "\(said)")
            #expect(said.contains("-m comment") || said.contains("-m recent"))
            #expect(try await scene.server.dump(.ipv4, .nft) == before)
        }
    }

    @Test(
        "if INPUT is flushed while the change is pending, the new rules are loaded again, the flushed rules are not",
        arguments: ["keep", "replace"])
    func flushed(existing: String) async throws {
        try await FaultScene.with(.nft, existing: existing) { scene in
            try await scene.apply(deadline: 15)
            for family in IPFamily.allCases {
                try await scene.server.mustRun([TestBackend.nft.tool(family), "-F", "INPUT"])
            }
            func isThere(_ family: IPFamily) async throws -> Bool {
                PendingRules.gates(in: try await scene.server.dump(family, .nft)).contains { $0.hasPrefix("-A INPUT ") }
            }
            // The list was removed with its gate: the guard notices this when it renews.
            for family in IPFamily.allCases { try await until("the new rules") { try await isThere(family) } }
            #expect(try JSON(await scene.latchkey(["status", "--json"])).truth("drift") == false)
            try await until("open gates") {
                IPFamily.allCases.allSatisfy { (scene.server.gateList($0) ?? "").contains("src=") }
            }
            try await scene.wait(for: ["reverted"], seconds: 40)
            try await until("the end of the pending rules") {
                try await !PendingRules.areIn(scene.server.dump(.ipv4, .nft))
            }
            let live = try await scene.server.dump(.ipv4, .nft)
            #expect(EarlierRules.chain("INPUT", in: "filter", of: live).isEmpty, "another program flushed it")
            #expect(live.contains(":INPUT DROP") && live.contains("-A FORWARD -i eth9 -j ACCEPT"))
        }
    }
}
