import Foundation
import TestSupport
import Testing

@Suite("Rules loaded at boot", .kernel, .inTurn)
struct BootTests {
    // MARK: latchkey's own unit

    @Test("a restore of files that are no longer loaded at boot says so")
    func serviceIsGone() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try installNetfilterPersistent(on: machine)
            try await keep(on: machine, .keep)
            try await machine.begin(.keep)
            let snapshot = try #require(try await machine.status().text("change"))
            #expect(try await machine.latchkey("revert").status == 0)
            try FileManager.default.removeItem(atPath: "\(machine.root.path)/usr/sbin/netfilter-persistent")
            let restored = try await machine.latchkey(
                "snapshots", "restore", snapshot, "--detach", "--no-rehearsal")
            #expect(restored.status == 0, "\(restored.errors)")
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 0, "\(confirmed.errors)")
            let words = confirmed.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("Nothing on this machine loads"))
        }
    }

    @Test("without netfilter-persistent latchkey's own unit loads the rules before the network", arguments: Case.all)
    func ownUnit(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.begin(test.existing)
            let confirmed = try await machine.latchkey("confirm", "--json")
            let persisted = try #require(try JSON(confirmed).texts("persisted"))
            #expect(persisted.contains("\(machine.root.path)/\(Self.unit)"))
            #expect(try machine.root.read(Self.unit).contains("Before=network-pre.target"))
            for family in IPFamily.allCases {
                let file = "\(machine.root.path)/var/lib/latchkey/restore/\(family.rawValue).rules"
                #expect(persisted.contains(file))
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
            try await expectSameAfterBoot(machine)
        }
    }

    @Test("where iptables-services loads rules at boot, its files are written", arguments: TestBackend.installed)
    func iptablesServices(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try machine.root.write("", to: "usr/libexec/iptables/iptables.init", mode: 0o755)
            try machine.root.write(
                "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8080\nCOMMIT\n",
                to: "etc/sysconfig/iptables")
            try await machine.begin(.keep)
            let persisted = try #require(try JSON(await machine.latchkey("confirm", "--json")).texts("persisted"))
            let names = ["iptables", "ip6tables"]
            #expect(persisted == names.map { "\(machine.root.path)/etc/sysconfig/\($0)" })
            for (family, name) in zip(IPFamily.allCases, names) {
                let fresh = try await NetworkNamespace()
                defer { fresh.close() }
                try await fresh.restore(try machine.root.read("etc/sysconfig/\(name)"), family, backend)
                let (loaded, live) = (try await fresh.dump(family, backend), try await machine.dump(family))
                #expect(
                    EarlierRules.chain("INPUT", in: "filter", of: loaded)
                        == EarlierRules.chain("INPUT", in: "filter", of: live))
            }
            // Existing content that is not latchkey's stays.
            #expect(try machine.root.read("etc/sysconfig/iptables").contains("--to-ports 8080"))
        }
    }

    @Test(
        "keeping some tables, or one family, later leaves the rest of the saved rules alone",
        arguments: Case.all)
    func laterTables(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.begin(test.existing)
            #expect(try await machine.latchkey("confirm").status == 0)
            try await keep(rules: Self.nat, on: machine)
            try await expectSameAfterBoot(machine)
            #expect(try await machine.status().truth("drift") == false)
            // Both are checked for drift: INPUT of the first change, the table of the second.
            try await machine.iptables("-t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8080")
            #expect(try await machine.status().truth("drift") == true)
            try await machine.iptables("-t nat -D PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8080")
            #expect(try await machine.status().truth("drift") == false)
            try await machine.iptables("-F INPUT", .ipv6)
            #expect(try await machine.status().truth("drift") == true)

            // IPv4 by hand: IPv6 is still what was kept first.
            try await keep(rules: Self.filter, on: machine)
            try await keep(on: machine, test.existing)
            try await keep(rules: Self.filter, on: machine)
            try await expectSameAfterBoot(machine)
            #expect(try await machine.status().truth("drift") == false)
            // And INPUT by latchkey once more, within the hand-written tables.
            try await keep(on: machine, .keep)
            try await expectSameAfterBoot(machine)
            #expect(try await machine.status().truth("drift") == false)
        }
    }

    @Test("sets that the rules use are created first; others are not saved", arguments: TestBackend.installed)
    func sets(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await makeSets(on: machine)
            try await keep(rules: Self.withSets, on: machine)
            try await expectSameAfterBoot(machine)
            let saved = try machine.root.read("var/lib/latchkey/restore/ipsets")
            #expect(saved.contains("add bad 192.0.2.66") && saved.contains("add worse 192.0.2.67"))
            #expect(!saved.contains("elsewhere"))
            // Another table, later: the sets are still needed.
            try await keep(rules: Self.nat, on: machine)
            try await expectSameAfterBoot(machine)
            // Rules without sets: nothing to create.
            try await keep(rules: Self.filter, on: machine)
            try await expectSameAfterBoot(machine)
            #expect(try !machine.root.read(Self.unit).contains("ipset"))
        }
    }

    @Test(
        "a failure in one family is reported and does not affect the other's rules", arguments: TestBackend.installed)
    func halfBoot(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await keep(on: machine, .keep)
            try machine.root.write("*filter\n-A INPUT -j nowhere\nCOMMIT\n", to: "var/lib/latchkey/restore/ipv4.rules")
            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            #expect(try await boot(machine, in: fresh).status == 1)
            #expect(isClosed(try await fresh.dump(.ipv6, backend)))
        }
    }

    // MARK: netfilter-persistent

    @Test("with netfilter-persistent its files contain the kept INPUT and their previous content", arguments: Case.all)
    func netfilterPersistent(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try installNetfilterPersistent(on: machine)
            try await machine.load(EarlierRules.filterWithoutSets)
            // The file has rules that are not active, and some active rules are not in the file.
            let marks = EarlierRules.table("mangle", of: EarlierRules.other(.ipv4))
            let saved =
                "\(marks)*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\n-A FORWARD -j mine\n-A mine -j RETURN\nCOMMIT\n"
            try machine.root.write(saved, to: "etc/iptables/rules.v4")
            try await machine.begin(test.existing)
            #expect(try machine.root.read("etc/iptables/rules.v4") == saved, "nothing is saved before keeping")
            let confirmed = try await machine.latchkey("confirm", "--json")
            let paths = ["v4", "v6"].map { "\(machine.root.path)/etc/iptables/rules.\($0)" }
            #expect(Set(try JSON(confirmed).texts("persisted") ?? []) == Set(paths))
            for (family, path) in zip(IPFamily.allCases, paths) {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                // fail2ban restores its own; bans at the time when the change was kept are not made permanent.
                #expect(!text.contains("f2b-sshd"))
                #expect(!PendingRules.areIn(text) && !text.contains("recent"))
                let live = try await machine.dump(family)
                let fresh = try await NetworkNamespace()
                defer { fresh.close() }
                try await fresh.restore(text, family, machine.backend)
                let loaded = try await fresh.dump(family, machine.backend)
                #expect(isClosed(loaded))
                #expect(
                    EarlierRules.chain("INPUT", in: "filter", of: loaded)
                        == EarlierRules.chain("INPUT", in: "filter", of: live).filter { $0.contains("latchkey: ") })
                if family == .ipv4 {
                    #expect(EarlierRules.table("mangle", of: loaded) == marks)
                    #expect(loaded.contains("-A FORWARD -j mine") == (test.existing == .keep))
                }
            }
        }
    }

    @Test("netfilter-persistent, installed later, takes over the rules from latchkey's unit", arguments: Case.all)
    func takenOver(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await keep(on: machine, test.existing)
            try installNetfilterPersistent(on: machine)
            try await keep(rules: Self.nat, on: machine)
            for (family, name) in [(IPFamily.ipv4, "v4"), (.ipv6, "v6")] {
                let fresh = try await NetworkNamespace()
                defer { fresh.close() }
                try await fresh.restore(try machine.root.read("etc/iptables/rules.\(name)"), family, machine.backend)
                #expect(tables(try await fresh.dump(family, machine.backend)) == tables(try await machine.dump(family)))
            }
            let left = try await machine.namespace.mustRun([
                "find", machine.root.path, "-name", "*restore*", "-type", "f",
            ])
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test("its plug-in for sets gets those that the rules use; without it latchkey's own unit creates them before")
    func persistentSets() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try installNetfilterPersistent(on: machine)
            try await makeSets(on: machine)
            try await keep(rules: Self.withSets, on: machine)
            #expect(try machine.root.read(Self.unit).contains("Before=netfilter-persistent.service "))
            let early = try await NetworkNamespace()
            defer { early.close() }
            #expect(try await boot(machine, in: early).status == 0)
            try await early.restore(try machine.root.read("etc/iptables/rules.v4"), .ipv4, machine.backend)

            try machine.root.write("", to: "usr/share/netfilter-persistent/plugins.d/10-ipset", mode: 0o755)
            try machine.root.write("create mine hash:ip\nadd mine 192.0.2.1\n", to: "etc/iptables/ipsets")
            try await keep(rules: Self.withSets, on: machine)
            let saved = try machine.root.read("etc/iptables/ipsets")
            #expect(saved.contains("add mine 192.0.2.1") && saved.contains("add worse 192.0.2.67"))
            #expect(!saved.contains("elsewhere"))
            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            try await fresh.mustRun(["ipset", "restore", "-exist"], input: Array(saved.utf8))
            try await fresh.restore(try machine.root.read("etc/iptables/rules.v4"), .ipv4, machine.backend)
        }
    }

    // MARK: - Pieces

    private static let unit = "etc/systemd/system/latchkey-restore.service"
    private static let nat =
        "*nat\n:doors - [0:0]\n-A PREROUTING -p tcp --dport 80 -j doors\n"
        + "-A doors -p tcp -j REDIRECT --to-ports 8080\nCOMMIT\n"
    private static let filter =
        "*filter\n:INPUT DROP\n:doors -\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 22 -j doors\n"
        + "-A doors -j ACCEPT\n-A FORWARD -j REJECT\nCOMMIT\n"
    private static let withSets = filter.replacing("-i lo", with: "-m set ! --match-set both src")

    private func makeSets(on machine: Machine) async throws {
        let lines = """
            create bad hash:ip timeout 500
            create worse hash:ip comment
            create elsewhere hash:ip
            create both list:set
            add bad 192.0.2.66
            add worse 192.0.2.67 comment "two  blanks"
            add both bad
            add both worse

            """
        try await machine.namespace.mustRun(["ipset", "restore"], input: Array(lines.utf8))
    }

    /// Keeps hand-written rules, IPv4 only; returns the output of the confirmation.
    @discardableResult
    private func keep(rules: String, on machine: Machine) async throws -> Finished {
        let path = try machine.root.write(rules, to: "four.rules")
        let applied = try await machine.latchkey(
            "apply", "--rules", path, "--detach", "--no-rehearsal", "--deadline", "5m", "--backend",
            machine.backend.rawValue)
        #expect(applied.status == 0, "\(applied.errors)")
        let confirmed = try await machine.latchkey("confirm")
        #expect(confirmed.status == 0, "\(confirmed.errors)")
        return confirmed
    }

    private func keep(on machine: Machine, _ existing: Existing) async throws {
        try await machine.begin(existing)
        #expect(try await machine.latchkey("confirm").status == 0)
    }

    private func installNetfilterPersistent(on machine: Machine) throws {
        for name in ["usr/sbin/netfilter-persistent", "usr/share/netfilter-persistent/plugins.d/15-ip4tables"] {
            try machine.root.write("#!/bin/sh\nexit 0\n", to: name, mode: 0o755)
        }
    }

    /// Runs the commands of latchkey's unit as systemd does (systemd.service(5)), with the paths of this machine.
    func boot(_ machine: Machine, in namespace: NetworkNamespace) async throws -> Finished {
        let commands = try machine.root.read(Self.unit).split(separator: "\n").filter { $0.hasPrefix("ExecStart=") }
            .map { $0.dropFirst("ExecStart=".count) }
        #expect(!commands.isEmpty)
        let script = commands.map { $0.hasPrefix("-") ? "\($0.dropFirst()) || true" : "\($0) || exit 1" }
            .joined(separator: "\n").replacing("/var/lib/latchkey", with: machine.root.path + "/var/lib/latchkey")
        return try await namespace.run(["sh", "-c", script])
    }

    /// Expects a machine without active rules to have these rules after a boot, and after the unit runs again.
    private func expectSameAfterBoot(_ machine: Machine, _ location: SourceLocation = #_sourceLocation) async throws {
        let fresh = try await NetworkNamespace()
        defer { fresh.close() }
        for _ in 1...2 {
            let run = try await boot(machine, in: fresh)
            #expect(run.status == 0, "\(run.errors)", sourceLocation: location)
            for family in IPFamily.allCases {
                let loaded = try await fresh.dump(family, machine.backend)
                #expect(family == .ipv6 || isClosed(loaded), sourceLocation: location)
                #expect(tables(loaded) == tables(try await machine.dump(family)), sourceLocation: location)
            }
        }
    }

    /// Whether a dump drops everything that INPUT does not allow.
    private func isClosed(_ dump: String) -> Bool {
        dump.contains(":INPUT DROP") || dump.contains("\"latchkey: drop all else\" -j DROP")
    }

    /// The tables of a dump that have an effect; legacy prints them in the order in which they were first used.
    private func tables(_ dump: String) -> Set<String> {
        Set(EarlierRules.withoutEmptyTables(dump).components(separatedBy: "COMMIT\n"))
    }
}
