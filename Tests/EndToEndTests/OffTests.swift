import Foundation
import Glibc
import TestSupport
import Testing

/// A backend of latchkey's, and a way to treat other rules.
struct OffCase: Sendable, CustomTestStringConvertible {
    let backend: TestBackend
    let existing: Existing
    /// Whether the rules are in latchkey's own table of nftables.
    var hasOwnTable = false

    static let all =
        Case.all.map { OffCase(backend: $0.backend, existing: $0.existing) }
        + [OffCase(backend: .nft, existing: .keep, hasOwnTable: true)]

    var testDescription: String { hasOwnTable ? "nftables" : "\(backend.testDescription), \(existing.testDescription)" }
}

@Suite("latchkey off", .kernel, .inTurn)
struct OffTests {
    private static func expectDone(
        _ finished: Finished, _ status: Int32 = 0, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(finished.status == status, "\(finished.errors)", sourceLocation: location)
    }

    private static func keep(_ test: OffCase, on machine: Machine) async throws {
        if test.hasOwnTable {
            try await machine.begin(test.existing, "--backend", "nftables")
        } else {
            try await machine.begin(test.existing)
        }
        expectDone(try await machine.latchkey("confirm"))
    }

    private static func off(_ machine: Machine, _ more: String...) async throws -> Finished {
        let words = ["off", "--no-rehearsal", "--detach", "--deadline", "5m"] + more
        return try await Latchkey.run(words, root: machine.root, in: machine.namespace, timeout: .seconds(90))
    }

    /// The files that are loaded at boot, with their content.
    private static func bootFiles(_ machine: Machine) async throws -> String {
        try await machine.namespace.mustRun([
            "sh", "-c",
            "cd \(machine.root.path); for f in $(find etc var/lib/latchkey/restore \\( -type f -o -type l \\) | sort); "
                + "do echo \"== $f\"; cat \"$f\" 2>/dev/null || readlink \"$f\"; done",
        ])
    }

    private static func exists(_ path: String, on machine: Machine) -> Bool {
        var status = stat()
        return lstat("\(machine.root.path)/\(path)", &status) == 0
    }

    private static func listing(_ machine: Machine) async throws -> String {
        try await machine.namespace.mustRun(["nft", "-s", "list", "ruleset"])
    }

    /// What decides, without the order in which nft lists tables.
    private static func state(_ machine: Machine, _ test: OffCase) async throws -> [String] {
        test.hasOwnTable
            ? try await listing(machine).split(separator: "\n").map(String.init) : [try await machine.rules()]
    }

    private static func said(_ finished: Finished) -> String {
        finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    @Test(
        "kept: nothing of latchkey's is left, and a snapshot brings all of it back",
        arguments: Sampled.cases(OffCase.all, oneOf: 3))
    func kept(_ test: OffCase) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            try await Self.keep(test, on: machine)
            #expect(try await outside.reachesByNeither(7))
            let (rules, files) = (try await Self.state(machine, test), try await Self.bootFiles(machine))
            let off = try await Self.off(machine)
            Self.expectDone(off)
            #expect(Self.said(off).contains("every port where a program listens can be reached by everyone"))
            #expect(try await outside.reachesByBoth(7), "the trial opens the firewall")
            #expect(try await machine.status().text("state") == "pending")
            #expect(try await Self.bootFiles(machine) == files, "nothing is removed before it is kept")

            let confirmed = try await machine.latchkey("confirm")
            Self.expectDone(confirmed)
            #expect(Self.said(confirmed).contains("answers.yaml stays: \"latchkey apply\" makes the firewall again"))
            #expect(try await outside.reachesByBoth(7))
            #expect(try await machine.rules() == Machine.none)
            if test.backend == .nft { #expect(try await Self.listing(machine) == "") }
            try await machine.expectNoGate()
            for path in [
                "etc/systemd/system/latchkey-restore.service", "var/lib/latchkey/restore", "var/lib/latchkey/kept.json",
                "etc/systemd/system/multi-user.target.wants/latchkey-restore.service",
                "etc/systemd/system/nftables.service.wants/latchkey-restore.service",
            ] {
                #expect(!Self.exists(path, on: machine), "\(path)")
            }
            #expect(Self.exists("etc/latchkey/answers.yaml", on: machine))
            let status = try await machine.status()
            #expect(status.text("state") == "idle" && status.truth("drift") == false)
            let shown = try await machine.latchkey("status").output
            #expect(shown.hasPrefix("latchkey is off since the change"), "\(shown)")
            let id = try #require(status.text("snapshot"))

            let again = try await Self.off(machine, "--json")
            Self.expectDone(again)
            #expect(Self.said(again).contains("Nothing to remove"))
            #expect(try await machine.status().text("state") == "idle", "no change began")

            Self.expectDone(
                try await machine.latchkey("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            )
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await Self.state(machine, test) == rules)
            #expect(try await Self.bootFiles(machine) == files)
            #expect(try await machine.status().truth("drift") == false)
            #expect(try await outside.reachesByNeither(7))
            // And off again, from what was restored.
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await machine.rules() == Machine.none)
        }
    }

    @Test(
        "reverted, or not confirmed in time: the kept rules and the files for boot are whole",
        arguments: Sampled.cases(OffCase.all, oneOf: 3))
    func reverted(_ test: OffCase) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            try await Self.keep(test, on: machine)
            let (rules, files) = (try await Self.state(machine, test), try await Self.bootFiles(machine))
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await Self.off(machine), 5)
            Self.expectDone(try await machine.latchkey("revert"))
            func expectBack() async throws {
                try await until("the end of the trial") { try await Self.state(machine, test) == rules }
                #expect(try await Self.bootFiles(machine) == files)
                #expect(try await outside.reachesByBoth(80))
                #expect(try await outside.reachesByNeither(7))
                #expect(try await machine.status().truth("drift") == false)
            }
            try await expectBack()
            let late = try await machine.latchkey("off", "--no-rehearsal", "--deadline", "10s")
            Self.expectDone(late, 3)
            #expect(Self.said(late).contains("latchkey's firewall is off. It comes back in"))
            try await expectBack()
        }
    }

    @Test("with keep, other programs' rules stay, also those that come meanwhile", arguments: TestBackend.installed)
    func others(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            try await Self.keep(OffCase(backend: backend, existing: .keep), on: machine)
            let kept = try await machine.rules()
            let off = try await Self.off(machine)
            Self.expectDone(off)
            #expect(Self.said(off).contains("The rules of other programs stay: docker, fail2ban."))
            // The jumps into fail2ban's chain work in the trial too.
            try await machine.iptables("-I f2b-sshd 1 -s 198.51.100.66 -j REJECT")
            try await machine.iptables("-A INPUT -p tcp --dport 9999 -j DROP")
            Self.expectDone(try await machine.latchkey("confirm"))
            let four = try await machine.dump(.ipv4)
            let input = EarlierRules.chain("INPUT", in: "filter", of: four)
            #expect(input.count == 3 && input.first?.hasSuffix("-j f2b-sshd") == true, "\(input)")
            #expect(input[1].hasSuffix("-j odd-chain.1") && input[2].contains("--dport 9999"))
            #expect(four.contains("198.51.100.66") && !four.contains("latchkey"))
            // Nobody could log in with a policy that drops and no rule that accepts.
            #expect(four.contains(":INPUT ACCEPT") && four.contains(":FORWARD DROP"))
            for table in ["raw", "mangle", "nat"] {
                #expect(EarlierRules.table(table, of: kept) != "")
                #expect(EarlierRules.table(table, of: four) == EarlierRules.table(table, of: kept))
            }
        }
    }

    @Test("another program's firewall keeps its policy", arguments: TestBackend.installed)
    func anothersPolicy(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            try await machine.load { _ in
                """
                *filter
                :INPUT DROP [0:0]
                :ufw-before-input - [0:0]
                -A INPUT -j ufw-before-input
                -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A ufw-before-input -p ipv6-icmp -j ACCEPT
                -A ufw-before-input -p tcp -m tcp --dport 22 -j ACCEPT
                COMMIT

                """
            }
            let before = try await machine.rules()
            try await Self.keep(OffCase(backend: backend, existing: .keep), on: machine)
            Self.expectDone(try await Self.off(machine))
            #expect(try await outside.reachesByNeither(7))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await machine.rules() == before)
        }
    }

    @Test("after replace, what Docker and fail2ban have added since stays", arguments: TestBackend.installed)
    func replaced(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            try await Self.keep(OffCase(backend: backend, existing: .replace), on: machine)
            for line in [
                "-t nat -N DOCKER", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                "-t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80", "-N DOCKER-USER",
                "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER", "-P FORWARD DROP", "-N f2b-sshd",
                "-I INPUT -p tcp -m multiport --dports 22 -j f2b-sshd", "-A f2b-sshd -s 198.51.100.66 -j DROP",
                "-A f2b-sshd -j RETURN",
            ] { try await machine.iptables(line) }
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await outside.reachesByBoth(7))
            let four = try await machine.dump(.ipv4)
            #expect(!four.contains("latchkey") && four.contains(":INPUT ACCEPT") && four.contains(":FORWARD DROP"))
            #expect(EarlierRules.chain("INPUT", in: "filter", of: four).count == 1)
            #expect(
                four.contains("-A FORWARD -j DOCKER-USER") && four.contains("-A f2b-sshd -s 198.51.100.66/32 -j DROP"))
            #expect(EarlierRules.chain("DOCKER", in: "nat", of: four).count == 1)
            #expect(EarlierRules.withoutEmptyTables(try await machine.dump(.ipv6)) == "")
        }
    }

    /// Tables as a person writes them, with chains of Docker as `iptables-save` would have printed them.
    private static let handWritten = """
        *nat
        :doors - [0:0]
        :DOCKER - [0:0]
        -A PREROUTING -p tcp -m tcp --dport 81 -j doors
        -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
        -A doors -p tcp -j REDIRECT --to-ports 8081
        COMMIT
        *filter
        :INPUT DROP [0:0]
        :OUTPUT DROP [0:0]
        :friends - [0:0]
        :lists - [0:0]
        -A INPUT -i lo -j ACCEPT
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
        -A INPUT -j friends
        -A OUTPUT -j ACCEPT
        -A friends -p tcp -m tcp --dport 2200 -j RETURN
        -A friends -j lists
        -A lists -s 203.0.113.7/32 -j DROP
        COMMIT

        """

    @Test("of tables from a file only what it said goes", arguments: TestBackend.installed)
    func handWritten(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let path = try machine.root.write(Self.handWritten, to: "four.rules")
            Self.expectDone(
                try await machine.latchkey(
                    "apply", "--rules", path, "--detach", "--no-rehearsal", "--deadline", "5m", "--backend",
                    backend.rawValue))
            Self.expectDone(try await machine.latchkey("confirm"))
            // Somebody else uses one of the chains, and another one holds a rule of somebody else's.
            try await machine.iptables("-A FORWARD -s 192.0.2.0/24 -j lists")
            try await machine.iptables("-t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80")
            let before = try await machine.rules()
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await machine.latchkey("revert"))
            try await until("the end of the trial") { try await machine.rules() == before }
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await machine.latchkey("confirm"))
            let four = try await machine.dump(.ipv4)
            let lines = four.split(separator: "\n").filter { $0.hasPrefix("-A ") || $0.hasSuffix(" - [0:0]") }
            #expect(
                Set(lines.map(String.init)) == [
                    ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                    "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
                    ":lists - [0:0]", "-A FORWARD -s 192.0.2.0/24 -j lists",
                ])
            #expect(!four.contains("DROP"))
        }
    }

    @Test("in the files of other services, only latchkey's rules go", arguments: Case.all)
    func serviceFiles(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            for name in ["usr/sbin/netfilter-persistent", "usr/share/netfilter-persistent/plugins.d/15-ip4tables"] {
                try machine.root.write("#!/bin/sh\nexit 0\n", to: name, mode: 0o755)
            }
            let marks = EarlierRules.table("mangle", of: EarlierRules.other(.ipv4))
            let jump = test.existing == .keep ? ":mine - [0:0]\n-A FORWARD -j mine\n-A mine -j RETURN\n" : ""
            // Without rules, this policy would lock everybody out at boot.
            try machine.root.write("\(marks)*filter\n:INPUT DROP [0:0]\n\(jump)COMMIT\n", to: "etc/iptables/rules.v4")
            try await Self.keep(OffCase(backend: test.backend, existing: test.existing), on: machine)
            #expect(try machine.root.read("etc/iptables/rules.v6").contains("latchkey"))
            let off = try await Self.off(machine)
            Self.expectDone(off)
            let confirmed = try await machine.latchkey("confirm")
            Self.expectDone(confirmed)
            #expect(Self.said(confirmed).contains("were removed from"))
            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            for (family, name) in zip(IPFamily.allCases, ["v4", "v6"]) {
                let text = try machine.root.read("etc/iptables/rules.\(name)")
                #expect(!text.contains("latchkey") && !text.contains("DROP"), "\(text)")
                try await fresh.restore(text, family, test.backend)
            }
            let loaded = try await fresh.dump(.ipv4, test.backend)
            #expect(EarlierRules.table("mangle", of: loaded) == marks)
            #expect(loaded.contains("-A FORWARD -j mine") == (test.existing == .keep))
        }
    }

    @Test("leftovers without a record go too: rules by their comment, and what is loaded at boot")
    func leftovers() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await Self.keep(OffCase(backend: machine.backend, existing: .keep), on: machine)
            try await machine.namespace.mustRun(["rm", "\(machine.root.path)/var/lib/latchkey/kept.json"])
            Self.expectDone(try await Self.off(machine))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await machine.rules() == Machine.none)
            // Only the files are left.
            try await Self.keep(OffCase(backend: machine.backend, existing: .keep), on: machine)
            try await machine.namespace.mustRun(["rm", "\(machine.root.path)/var/lib/latchkey/kept.json"])
            for family in IPFamily.allCases { try await machine.iptables("-F INPUT", family) }
            let off = try await Self.off(machine)
            Self.expectDone(off)
            #expect(Self.said(off).contains("No rules of latchkey's are active. What loads them at boot is removed."))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(!Self.exists("etc/systemd/system/latchkey-restore.service", on: machine))
        }
    }

    @Test("a guard that is killed while it removes the rules is carried on by the next one")
    func killed() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await Self.keep(OffCase(backend: machine.backend, existing: .replace), on: machine)
            let flag = "\(machine.root.path)/killed"
            try await FakeTool.ip6tablesRestore(
                """
                case $input in *latchkey-trial*) real "$@"; exit;; esac
                [ -e \(flag) ] || { touch \(flag); real "$@"; kill -9 $PPID; exit 1; }
                """, on: machine)
            Self.expectDone(try await Self.off(machine))
            _ = try await machine.latchkey("confirm")
            try await until("the end of the change") { try await machine.status().text("state") == "idle" }
            #expect(Self.exists("killed", on: machine), "the guard was killed")
            #expect(try await machine.rules() == Machine.none)
            #expect(!Self.exists("var/lib/latchkey/restore", on: machine))
        }
    }

    @Test("nftables: other tables stay, and of a table from a file only what it said goes")
    func otherTables() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try await machine.nft("table inet other { chain c { counter; }; }")
            let file = try machine.root.write(
                """
                table inet mine {
                    set bad { type ipv4_addr; elements = { 203.0.113.7 }; }
                    chain input {
                        type filter hook input priority filter; policy drop;
                        ct state established,related accept
                        ip saddr @bad drop
                        jump ssh
                    }
                    chain ssh { tcp dport 22 accept; }
                }

                """, to: "rules.nft")
            Self.expectDone(
                try await machine.latchkey(
                    "apply", "--rules", file, "--backend", "nftables", "--no-rehearsal", "--detach", "--deadline", "5m")
            )
            Self.expectDone(try await machine.latchkey("confirm"))
            try await machine.nft("table inet mine { chain late { tcp dport 9 counter drop; }; }")
            Self.expectDone(try await Self.off(machine))
            #expect(try await outside.reachesByBoth(7))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(try await outside.reachesByBoth(7))
            let listing = try await Self.listing(machine)
            #expect(listing.contains("table inet other") && listing.contains("tcp dport 9 counter drop"))
            #expect(!listing.contains("input") && !listing.contains("set bad") && !listing.contains("trial"))
        }
    }
}
