import Glibc
import TestSupport
import Testing

/// What iptables-save prints is not always what the kernel does.
@Suite("Rules that iptables-save does not print correctly", .kernel, .inTurn)
struct DumpTruthTests {
    /// Rules made with nft in INPUT: iptables-save prints another rule, or one that loads as another.
    static let untruthful = [
        "ip saddr @bad drop",
        "tcp dport { 2200, 8080 } ip saddr @bad accept",
        "ip saddr vmap { 198.51.100.3 : drop, 198.51.100.4 : accept }",
        "ip saddr . tcp dport { 198.51.100.3 . 80 } drop",
        "ip saddr { 198.51.100.3, 198.51.100.9 } drop",
    ]

    @Test("a rule that would have to be rewritten is refused by name, before anything changes", arguments: untruthful)
    func refused(rule: String) async throws {
        try await Machine.with(.nft) { machine in
            try await load(rule, on: machine)
            let before = try await machine.listing()
            for existing in Existing.allCases {
                let applied = try await machine.apply(existing, "--detach")
                #expect(applied.status == 69, "\(existing): \(applied.errors)")
                let said = applied.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(said.contains("Nothing was changed"), "\(said)")
                #expect(said.contains("--backend nftables"), "\(said)")
                #expect(said.contains("INPUT") || said.contains("table filter"), "\(said)")
                #expect(try await machine.listing() == before)
            }
            #expect(try await machine.latchkey("confirm").status == 6)
        }
    }

    @Test(
        "a rule that need not be rewritten is never touched, neither by a rollback nor by a confirmation",
        arguments: untruthful, ["revert", "deadline", "confirm"])
    func untouched(rule: String, end: String) async throws {
        // The deadline takes its time, so only one rule is tested with it.
        guard rule == Self.untruthful[0] || end != "deadline" else { return }
        try await Machine.withOutside(.nft) { machine, outside in
            try await load(rule, on: machine, chain: "FORWARD")
            // Like fail2ban: its own chain with such a rule, and a jump before all other rules.
            try await machine.nft(
                """
                add chain ip filter mine
                add rule ip filter mine ip saddr @bad drop
                insert rule ip filter INPUT jump mine
                """)
            let before = try await machine.listing()
            try await machine.begin(.keep, deadline: end == "deadline" ? "10s" : "5m")
            #expect(try await outside.reaches(80, .ipv4))
            switch end {
            case "revert": #expect(try await machine.latchkey("revert").status == 0)
            case "confirm": #expect(try await machine.latchkey("confirm").status == 0)
            default: try await until("the deadline", within: .seconds(15)) { machine.namespace.areGateListsEmpty }
            }
            try await until("the end of the pending rules") {
                let now = try await machine.listing()
                return end == "confirm" ? !now.contains("latchkey-trial") : now == before
            }
            let after = try await machine.listing()
            if end == "confirm" {
                let theirs = before.split(separator: "\n").filter { $0.contains("@bad") || $0.contains("198.51.100.") }
                #expect(theirs.allSatisfy { after.contains($0) }, "\(after)")
                #expect(try await outside.reachesByNeither(7))
            } else {
                #expect(try await outside.reaches(7, .ipv4), "clients that were allowed before still are")
            }
        }
    }

    // MARK: A table that cannot be read

    /// What another program does to the table filter during the countdown, or before.
    static let unreadable = [
        "insert rule ip filter FORWARD iifname wt0 ct state established accept",
        "add rule ip filter FORWARD meta skuid 0 accept",
    ]

    @Test(
        "if iptables can no longer print a table during the countdown, each command responds at once",
        arguments: unreadable, ["revert", "confirm"])
    func unreadableInWindow(rule: String, end: String) async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            for family in IPFamily.allCases { try await machine.iptables("-A FORWARD -i eth9 -j ACCEPT", family) }
            try await machine.begin(.keep)
            try await machine.nft(rule)
            #expect(try await outside.reachesByNeither(7))
            let asked = ContinuousClock.now
            let ended = try await machine.latchkey(end)
            let took = ContinuousClock.now - asked
            #expect(took < .seconds(end == "revert" ? 2 : 10), "\(took)")
            let theirs = try await machine.namespace.mustRun(["nft", "-s", "list", "chain", "ip", "filter", "FORWARD"])
            #expect(theirs.contains("accept"))
            if end == "revert" {
                #expect(ended.status == 0, "\(ended.errors)")
                #expect(try await outside.reachesByBoth(7))
                try await until("the end of the pending rules") {
                    try await !machine.listing().contains("latchkey-trial")
                }
                #expect(try await machine.status().text("state") == "reverted")
            } else if ended.status == 0 {
                #expect(try await outside.reachesByNeither(7))
            } else {
                let said = ended.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(said.contains("cannot be read") || said.contains("ended with status"), "\(said)")
                #expect([1, 7, 69].contains(ended.status), "\(said)")
                #expect(try await machine.latchkey("revert").status == 0)
                #expect(try await outside.reachesByBoth(7))
            }
        }
    }

    @Test(
        "if iptables cannot print a table beforehand, doctor, rehearse and apply say so and why",
        arguments: [
            "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; "
                + "iifname wt0 ct state established accept; }\n}",
            "table ip filter { chain INPUT { type filter hook input priority 0; policy accept; meta skuid 0 accept; "
                + "tcp dport 8080 drop; }\n}",
        ])
    func unreadableBefore(table: String) async throws {
        try await Machine.with(.nft) { machine in
            try await machine.nft(table)
            let before = try await machine.listing()
            let file = "\(machine.root.path)/replace.yaml"
            let applied = try await machine.apply(.replace, "--detach")
            #expect(applied.status == 69, "\(applied.errors)")
            let rehearsed = try await machine.latchkey("rehearse", "--answers", file, "--backend", "nft")
            #expect(rehearsed.status == 69, "\(rehearsed.errors)")
            let doctor = try await machine.latchkey("doctor", "--backend", "nft")
            for (who, said) in [
                ("apply", applied.errors), ("rehearse", rehearsed.errors), ("doctor", doctor.output + doctor.errors),
            ] {
                let words = said.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(words.contains("cannot be read") || words.contains("cannot read"), "\(who): \(words)")
                #expect(!words.contains("Only root can read the active rules"), "\(who): \(words)")
            }
            #expect(try await machine.listing() == before)
        }
    }

    /// Loads a table with such a rule, in a chain without other rules.
    private func load(_ rule: String, on machine: Machine, chain: String = "INPUT") async throws {
        let hook = chain == "INPUT" ? "input" : "forward"
        try await machine.nft(
            """
            table ip filter {
                set bad { type ipv4_addr; elements = { 198.51.100.3 }; }
                chain \(chain) { type filter hook \(hook) priority 0; policy accept; \(rule); }
                \(chain == "INPUT" ? "" : "chain INPUT { type filter hook input priority 0; policy accept; }")
            }
            """)
    }
}
