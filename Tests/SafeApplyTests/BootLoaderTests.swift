import Host
import Logging
import Netfilter
import TestSupport
import Testing

@testable import SafeApply

@Suite("What loads rules at boot")
struct BootLoaderTests {
    private let folder: TemporaryFolder
    private let layout: Layout

    init() throws {
        folder = try TemporaryFolder()
        layout = Layout(root: folder.path)
    }

    private func environment(_ families: [Family] = Family.allCases) -> ChangeEnvironment {
        ChangeEnvironment(
            layout: layout, toolbox: Toolbox(layout: layout), runner: SystemRunner(), clock: .system,
            witness: .system(FactSource()), bootID: "boot", families: families,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private var loader: BootLoader? { BootLoader(environment()) }
    private var files: [String]? { loader?.service?.rules.present.map(\.value) }

    // MARK: - Systems

    private static let arch = [
        ("iptables.service", "ExecStart=/usr/bin/iptables-restore -w /etc/iptables/iptables.rules"),
        ("ip6tables.service", "ExecStart=/usr/bin/ip6tables-restore -w /etc/iptables/ip6tables.rules"),
    ]
    private static let gentoo = ["iptables", "ip6tables"].map { name in
        (
            "\(name)-restore.service",
            "ExecStart=/sbin/\(name)-restore /var/lib/\(name)/rules-save\n"
                + "ExecStop=/bin/sh -c \"/sbin/\(name)-save --counters > /var/lib/\(name)/rules-save\""
        )
    }

    private func install(_ units: [(String, String)], enabled: Int = 2) throws {
        for (index, (name, line)) in units.enumerated() {
            try folder.write("[Service]\nType=oneshot\n\(line)\n", to: "usr/lib/systemd/system/\(name)")
            guard index < enabled else { continue }
            try folder.write("", to: "etc/systemd/system/multi-user.target.wants/\(name)")
        }
    }

    /// OpenRC with the services iptables and ip6tables; nil for one that no runlevel starts.
    private func installOpenRC(
        _ four: String = "/etc/iptables/rules-save", _ six: String = "/etc/iptables/rules6-save",
        levels: [String?] = ["default", "default"]
    ) throws {
        try folder.write("#!/bin/sh\n", to: "sbin/openrc-run", mode: 0o755)
        let settings = ["IPTABLES_SAVE=\"\(four)\"", "IP6TABLES_SAVE=\"\(six)\""]
        for (index, name) in ["iptables", "ip6tables"].enumerated() {
            try folder.write("#!/sbin/openrc-run\n", to: "etc/init.d/\(name)", mode: 0o755)
            try folder.write("# Where\n\(settings[index])\nSAVE_ON_STOP=\"yes\"\n", to: "etc/conf.d/\(name)")
            if let level = levels[index] { try folder.write("", to: "etc/runlevels/\(level)/\(name)") }
        }
    }

    // MARK: - systemd

    @Test("on Arch, the units of the package iptables load its files if both are enabled")
    func archEnabled() throws {
        try install(Self.arch)
        #expect(files == ["/etc/iptables/iptables.rules", "/etc/iptables/ip6tables.rules"])
        #expect(loader?.name == "iptables.service")
        #expect(BootLoader(.nftables, in: environment()) == .ownUnit)
        #expect(!BootLoader.savesActiveRules(in: environment()))
    }

    @Test("on Arch, latchkey's own unit is used if one of the units is not enabled", arguments: 0...1)
    func archDisabled(enabled: Int) throws {
        try install(Self.arch, enabled: enabled)
        #expect(loader == .ownUnit)
    }

    @Test("without IPv6 in the kernel, the unit for IPv4 is enough")
    func archWithoutIPv6() throws {
        try install(Self.arch, enabled: 1)
        #expect(BootLoader(environment([.ipv4]))?.name == "iptables.service")
    }

    @Test("an enabled unit with Arch's name that loads other files is not used")
    func otherUnit() throws {
        try install(Self.arch.map { ($0.0, "ExecStart=/usr/local/sbin/rules start") })
        #expect(loader == .ownUnit)
    }

    @Test("on Gentoo with systemd, its units load its files, and save the active rules at shutdown")
    func gentooSystemd() throws {
        try install(Self.gentoo)
        #expect(files == ["/var/lib/iptables/rules-save", "/var/lib/ip6tables/rules-save"])
        #expect(BootLoader.savesActiveRules(in: environment()))
    }

    // MARK: - OpenRC

    @Test(
        "on Alpine and Gentoo, the files are used that the settings of the services name",
        arguments: [
            ["/etc/iptables/rules-save", "/etc/iptables/rules6-save"],
            ["/etc/iptables/rules-save", "/var/lib/ip6tables/rules-save"],
            ["/var/lib/iptables/rules-save", "/var/lib/ip6tables/rules-save"],
        ], ["boot", "default"])
    func openRC(paths: [String], level: String) throws {
        try installOpenRC(paths[0], paths[1], levels: [level, level])
        #expect(files == paths)
        #expect(BootLoader(.nftables, in: environment()) == .ownScript)
        #expect(BootLoader.savesActiveRules(in: environment()))
    }

    @Test(
        "with OpenRC, latchkey's own script is used unless both services are started at boot",
        arguments: [[nil, nil], ["default", nil], [nil, "boot"], ["shutdown", "nonetwork"]])
    func openRCWithoutServices(levels: [String?]) throws {
        try installOpenRC(levels: levels)
        #expect(loader == .ownScript)
        #expect(loader?.name == "/etc/init.d/latchkey-restore")
    }

    @Test("with OpenRC, latchkey's own script is used if the settings name files of the administrator's")
    func openRCWithOtherFiles() throws {
        try installOpenRC("/srv/rules", "/srv/rules6")
        #expect(loader == .ownScript)
    }

    @Test("a service whose script is gone is not started")
    func openRCWithoutScript() throws {
        try installOpenRC()
        try SecureFiles.remove("\(folder.path)/etc/init.d/ip6tables")
        #expect(loader == .ownScript)
    }

    @Test("a service with SAVE_ON_STOP=\"no\" does not save the active rules")
    func savesNothing() throws {
        try installOpenRC()
        for name in ["iptables", "ip6tables"] {
            let text = try folder.read("etc/conf.d/\(name)").replacing("\"yes\"", with: "\"no\"")
            try folder.write(text, to: "etc/conf.d/\(name)")
        }
        #expect(files != nil)
        #expect(!BootLoader.savesActiveRules(in: environment()))
    }

    // MARK: - latchkey's own script

    @Test("the script runs a second time after a service that may remove the rules, in its runlevel")
    func again() throws {
        try installOpenRC(levels: [nil, nil])
        let services = environment().initSystem.services
        let first = "/etc/runlevels/boot/latchkey-restore"
        #expect(RestoreScript.links(services).map(\.path) == [first])
        for level in ["boot", "default"] {
            try folder.write("", to: "etc/runlevels/\(level)/\(level == "boot" ? "iptables" : "ip6tables")")
            #expect(
                RestoreScript.links(services).map(\.path) == [
                    first, "/etc/init.d/latchkey-restore-again", "/etc/runlevels/\(level)/latchkey-restore-again",
                ])
        }
    }

    @Test("what only helps if a service fails has a condition")
    func condition() {
        var steps = RestoreSteps(["/sbin/iptables-restore rules"])
        #expect(!RestoreScript.text(steps).contains("service_started"))
        #expect(!RestoreUnit.text(steps).contains("ExecCondition"))
        steps.fallbackFor = ["iptables", "ip6tables"]
        #expect(
            RestoreScript.text(steps).contains(
                "in *-again) service_started iptables && service_started ip6tables && return 0 ;; esac\n"))
        #expect(
            RestoreUnit.text(steps).contains("ExecCondition=/bin/sh -c '! { systemctl --quiet is-active iptables &&"))
    }

    @Test("the script and the unit run the same commands, and report only failures of the last ones")
    func sameCommands() throws {
        let steps = RestoreSteps(nftables: ["/sbin/nft -f tables", "/sbin/nft -f ssh"])
        let script = RestoreScript.text(steps)
        #expect(script.hasPrefix("#!/sbin/openrc-run\n"))
        #expect(script.contains("    before net\n"))
        let lines = script.split(separator: "\n").filter { $0.contains("/sbin/nft") }.map { $0.drop { $0 == " " } }
        #expect(
            lines == [
                "/sbin/nft -f tables 2>/dev/null || :", "/sbin/nft -f ssh 2>/dev/null || :",
                "/sbin/nft -f tables || failed=1",
            ])
        let unit = RestoreUnit.text(steps).split(separator: "\n").filter { $0.hasPrefix("Exec") }
        #expect(
            unit == [
                "ExecStart=-/sbin/nft -f tables", "ExecStart=-/sbin/nft -f ssh", "ExecStart=/sbin/nft -f tables",
                "ExecReload=/sbin/nft -f tables",
            ])
    }

    @Test("sets are created before the service that loads rules naming them")
    func setsFirst() {
        let script = RestoreScript.text(RestoreSteps(["/usr/sbin/ipset restore"]))
        #expect(script.contains("        *) before nftables") && script.contains(" iptables ip6tables ;;\n"))
        #expect(script.contains("    after localmount modules sysctl ipset\n"))
        let unit = RestoreUnit.text(
            RestoreSteps(["/usr/sbin/ipset restore"], before: ["iptables.service", "ip6tables.service"]))
        #expect(unit.contains("After=local-fs.target systemd-modules-load.service\n"))
        #expect(unit.contains("Before=iptables.service ip6tables.service network-pre.target shutdown.target\n"))
    }

    @Test("each file that is written at boot is part of a snapshot, and removed by off")
    func coverage() {
        let written = BootService.all.flatMap { $0.rules.present.map(\.value) } + RestoreUnit.all + RestoreScript.all
        #expect(Set(written).isSubset(of: StateFile.paths))
        #expect(Set(StateFile.paths).count == StateFile.paths.count)
    }
}
