import Foundation
import TestSupport
import Testing

/// Rules for the boot services of Arch, Alpine and Gentoo, and latchkey's own script for OpenRC.
@Suite("Boot services of other systems", .kernel, .inTurn)
struct BootServiceTests {
    // MARK: latchkey's own script

    @Test("with OpenRC, latchkey's own script loads the rules before the network", arguments: TestBackend.installed)
    func ownScript(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try Self.installOpenRC(on: machine)
            try await machine.begin(.keep)
            let persisted = try JSON(await machine.latchkey("confirm", "--json")).texts("persisted") ?? []
            #expect(persisted.contains("\(machine.root.path)/\(Self.script)"), "\(persisted)")
            #expect(!Self.exists("etc/systemd/system/latchkey-restore.service", on: machine))
            #expect(
                try FileManager.default.destinationOfSymbolicLink(
                    atPath: "\(machine.root.path)/etc/runlevels/boot/latchkey-restore") == "/\(Self.script)")
            let said = try await machine.latchkey("status").output
            #expect(said.contains("At boot, /etc/init.d/latchkey-restore loads the kept rules."), "\(said)")

            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            for _ in 1...2 {
                let run = try await Self.start(machine, in: fresh)
                #expect(run.status == 0, "\(run.errors)")
                for family in IPFamily.allCases {
                    let live = try await machine.dump(family)
                    #expect(try await fresh.dump(family, backend) == live)
                    #expect(live.contains("latchkey: drop all else"))
                }
            }

            try await Self.off(machine)
            #expect(!Self.exists(Self.script, on: machine))
            #expect(!Self.exists("etc/runlevels/boot/latchkey-restore", on: machine))
        }
    }

    @Test("the script loads tables of nftables, and a small one for SSH if they cannot be loaded")
    func tables() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try Self.installOpenRC(on: machine)
            NFTablesTests.expectDone(try await NFTablesTests.apply(machine, NFTablesTests.answers, "--detach"))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            try await machine.nft("flush ruleset")
            NFTablesTests.expectDone(try await Self.start(machine, in: machine.namespace))
            #expect(try await outside.reachesByBoth(80))
            #expect(try await outside.reachesByNeither(2200))
            #expect(try await machine.status().truth("drift") == false)

            let file = "var/lib/latchkey/restore/nftables.rules"
            try machine.root.write(try machine.root.read(file) + "nonsense\n", to: file)
            try await machine.nft("flush ruleset")
            #expect(try await Self.start(machine, in: machine.namespace).status == 1)
            #expect(try await outside.reachesByBoth(22))
            #expect(try await outside.reachesByNeither(80))
        }
    }

    @Test("the script fails if one family cannot be loaded, and the other one is loaded")
    func halfBoot() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try Self.installOpenRC(on: machine)
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            try machine.root.write("*filter\n-A INPUT -j nowhere\nCOMMIT\n", to: "var/lib/latchkey/restore/ipv4.rules")
            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            #expect(try await Self.start(machine, in: fresh).status == 1)
            #expect(try await fresh.dump(.ipv6, machine.backend).contains("latchkey: drop all else"))
        }
    }

    // MARK: Services of the system

    @Test("the files of the system's own service get the kept rules, and off removes them", arguments: BootSystem.all)
    func ownFiles(_ system: BootSystem) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try system.install(on: machine)
            let nat =
                "*nat\n:PREROUTING ACCEPT [0:0]\n"
                + "[7:420] -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8080\nCOMMIT\n"
            try machine.root.write(nat, to: system.files[0])
            try await machine.begin(.keep)
            let persisted = try JSON(await machine.latchkey("confirm", "--json")).texts("persisted")
            let paths = system.files.map { "\(machine.root.path)/\($0)" }
            #expect(persisted?.starts(with: paths) ?? false, "\(persisted ?? [])")
            // Without a service that saves the active rules, nothing else is needed.
            #expect(Self.exists("var/lib/latchkey/restore", on: machine) == (system != .arch))
            for (family, file) in zip(IPFamily.allCases, system.files) {
                let fresh = try await NetworkNamespace()
                defer { fresh.close() }
                let text = try machine.root.read(file)
                #expect(family == .ipv6 || text.contains("--to-ports 8080"))
                try await fresh.restore(text, family, machine.backend)
                let (loaded, live) = (try await fresh.dump(family, machine.backend), try await machine.dump(family))
                #expect(
                    EarlierRules.chain("INPUT", in: "filter", of: loaded)
                        == EarlierRules.chain("INPUT", in: "filter", of: live))
            }
            let doctor = try await machine.latchkey("doctor").output.split(whereSeparator: \.isWhitespace)
                .joined(separator: " ")
            #expect(doctor.contains("loads /\(system.files[0]) and /\(system.files[1])"), "\(doctor)")

            try await Self.off(machine)
            for file in system.files { #expect(try !machine.root.read(file).contains("latchkey")) }
            #expect(try machine.root.read(system.files[0]).contains("--to-ports 8080"))
            #expect(!Self.exists("var/lib/latchkey/restore", on: machine) && !Self.exists(Self.script, on: machine))
        }
    }

    @Test(
        "sets are created before the system's own service loads rules that name them", .tool("ipset"),
        arguments: ["yes", "no"])
    func sets(saveOnStop: String) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let system = BootSystem.alpine
            try system.install(on: machine, saveOnStop: saveOnStop)
            try await machine.namespace.mustRun(["ipset", "create", "bad", "hash:ip"])
            try await machine.namespace.mustRun(["ipset", "add", "bad", "192.0.2.66"])
            let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -m set --match-set bad src -j DROP\nCOMMIT\n"
            let path = try machine.root.write(rules, to: "four.rules")
            let applied = try await machine.latchkey(
                "apply", "--rules", path, "--detach", "--no-rehearsal", "--deadline", "5m", "--backend",
                machine.backend.rawValue)
            #expect(applied.status == 0, "\(applied.errors)")
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 0, "\(confirmed.errors)")
            #expect(try machine.root.read(Self.script).contains("-restore -w") == (saveOnStop == "yes"))

            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            NFTablesTests.expectDone(try await Self.start(machine, in: fresh))
            try await fresh.restore(try machine.root.read(system.files[0]), .ipv4, machine.backend)
            #expect(try await fresh.dump(.ipv4, machine.backend).contains("--match-set bad src -j DROP"))
        }
    }

    // MARK: A service that saves the active rules at shutdown

    @Test("if such a service cannot load its file, latchkey's script loads the kept rules")
    func serviceFails() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, outside in
            try BootSystem.alpine.install(on: machine)
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            let link = "\(machine.root.path)/etc/runlevels/default/latchkey-restore-again"
            #expect(
                try FileManager.default.destinationOfSymbolicLink(atPath: link) == "/etc/init.d/latchkey-restore-again")
            let flush = ["iptables", "ip6tables"].map { "\($0)-\(machine.backend.rawValue) -F" }.joined(separator: "; ")
            try await machine.namespace.mustRun(["sh", "-c", flush])
            #expect(try await outside.reachesByBoth(7))
            // All services have loaded their files: nothing to do.
            NFTablesTests.expectDone(try await Self.start(machine, in: machine.namespace, again: true, started: true))
            #expect(try await outside.reachesByBoth(7))
            NFTablesTests.expectDone(try await Self.start(machine, in: machine.namespace, again: true, started: false))
            #expect(try await outside.reachesByNeither(7))
            #expect(try await outside.reachesByBoth(80))
            #expect(try await machine.status().truth("drift") == false)
        }
    }

    @Test(
        "a pending change that such a service saves is not active after a reboot, and the next change removes it",
        arguments: TestBackend.installed)
    func rebootWhilePending(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let system = BootSystem.alpine
            try system.install(on: machine)
            try await machine.begin(.keep)
            #expect(try await outside.reachesByNeither(7))
            try await shutDownAndBoot(machine, system)

            #expect(try await outside.reachesByBoth(7), "the previous rules are active")
            #expect(PendingRules.areIn(try await machine.dump(.ipv4)), "the saved file contains the pending rules")
            let status = try await machine.latchkey("status")
            #expect(status.status == 0, "\(status.errors)")
            let doctor = try await machine.latchkey("doctor", "--backend", backend.rawValue)
            #expect(doctor.status == 0, "\(doctor.output)")

            try await machine.begin(.keep)
            #expect(try await outside.reachesByNeither(7))
            #expect(try await machine.latchkey("confirm").status == 0)
            #expect(!PendingRules.areIn(try await machine.rules()))
            for file in system.files {
                let text = try machine.root.read(file)
                #expect(!PendingRules.areIn(text) && text.contains("latchkey: drop all else"), "\(text)")
            }
            #expect(try await machine.status().truth("drift") == false)

            // What was kept is what such a service saves and loads.
            try await shutDownAndBoot(machine, system)
            #expect(try await outside.reachesByNeither(7))
            #expect(try await outside.reachesByBoth(80))
            #expect(try await machine.status().truth("drift") == false)
        }
    }

    @Test("where such a service would save a change behind a weaker gate, the change is refused")
    func weakerGate() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, outside in
            try BootSystem.alpine.install(on: machine)
            try await FallbackTests.forbidRecent(on: machine, andSets: false)
            let applied = try await machine.apply(.keep, "--detach")
            let words = applied.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(applied.status != 0 && words.contains("SAVE_ON_STOP=\"no\""), "\(applied.status) \(words)")
            #expect(try await outside.reachesByBoth(7))
            #expect(try await machine.rules() == Machine.none)
        }
    }

    // MARK: - Pieces

    private static let script = "etc/init.d/latchkey-restore"

    static func installOpenRC(on machine: Machine) throws {
        try machine.root.write("#!/bin/sh\n", to: "sbin/openrc-run", mode: 0o755)
    }

    private static func off(_ machine: Machine) async throws {
        NFTablesTests.expectDone(try await machine.latchkey("off", "--detach", "--no-rehearsal", "--deadline", "5m"))
        NFTablesTests.expectDone(try await machine.latchkey("confirm"))
    }

    private static func exists(_ path: String, on machine: Machine) -> Bool {
        FileManager.default.fileExists(atPath: "\(machine.root.path)/\(path)")
    }

    /// Starts latchkey's script with the functions that it uses of openrc-run(8), and the paths of this machine.
    private static func start(
        _ machine: Machine, in namespace: NetworkNamespace, again: Bool = false, started: Bool = true
    ) async throws -> Finished {
        let script = try machine.root.read(Self.script)
            .replacing("/var/lib/latchkey", with: machine.root.path + "/var/lib/latchkey")
        let functions =
            "RC_SVCNAME=latchkey-restore\(again ? "-again" : "")\nebegin() { :; }\neend() { return \"$1\"; }\n"
            + "service_started() { \(started); }\n"
        return try await namespace.run(["sh", "-c", "\(functions)\(script)\nstart"])
    }

    /// What a service with SAVE_ON_STOP does at shutdown and at boot, and what else a reboot does.
    private func shutDownAndBoot(_ machine: Machine, _ system: BootSystem) async throws {
        for (family, file) in zip(IPFamily.allCases, system.files) {
            let dump = try await machine.namespace.mustRun([machine.backend.tool(family, "save"), "-c"])
            try machine.root.write(dump, to: file)
        }
        try await machine.killGuardians()
        try FileManager.default.removeItem(atPath: "\(machine.root.path)/run")
        for (family, file) in zip(IPFamily.allCases, system.files) {
            let empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
            try await machine.namespace.restore(empty, family, machine.backend)
            try await machine.namespace.mustRun(
                [machine.backend.tool(family, "restore"), "-c"], input: Array(try machine.root.read(file).utf8))
        }
    }
}

/// A system whose own service loads rules at boot.
struct BootSystem: Sendable, Equatable, CustomTestStringConvertible {
    var testDescription: String
    /// The files of IPv4 and IPv6, below the root.
    let files: [String]
    /// Its units, or nil for OpenRC.
    var units: [String]?

    static let alpine = BootSystem(
        testDescription: "Alpine", files: ["etc/iptables/rules-save", "etc/iptables/rules6-save"])
    static let arch = BootSystem(
        testDescription: "Arch", files: ["etc/iptables/iptables.rules", "etc/iptables/ip6tables.rules"],
        units: ["iptables", "ip6tables"])
    static let all = [
        alpine, arch,
        BootSystem(
            testDescription: "Gentoo", files: ["var/lib/iptables/rules-save", "var/lib/ip6tables/rules-save"]),
        BootSystem(
            testDescription: "Gentoo with systemd",
            files: ["var/lib/iptables/rules-save", "var/lib/ip6tables/rules-save"],
            units: ["iptables-restore", "ip6tables-restore"]),
    ]

    /// Writes the files by which the system is recognized.
    func install(on machine: Machine, saveOnStop: String = "yes") throws {
        let names = ["iptables", "ip6tables"]
        if let units {
            for (index, unit) in units.enumerated() {
                try machine.root.write(
                    "[Service]\nExecStart=/usr/bin/\(names[index])-restore /\(files[index])\n"
                        + (unit.hasSuffix("restore") ? "ExecStop=/sbin/iptables-save\n" : ""),
                    to: "usr/lib/systemd/system/\(unit).service")
                try machine.root.write("", to: "etc/systemd/system/multi-user.target.wants/\(unit).service")
            }
            return
        }
        try BootServiceTests.installOpenRC(on: machine)
        for (index, name) in names.enumerated() {
            try machine.root.write("#!/sbin/openrc-run\n", to: "etc/init.d/\(name)", mode: 0o755)
            try machine.root.write("", to: "etc/runlevels/default/\(name)")
            try machine.root.write(
                "\(name.uppercased())_SAVE=\"/\(files[index])\"\nSAVE_ON_STOP=\"\(saveOnStop)\"\n",
                to: "etc/conf.d/\(name)")
        }
    }
}
