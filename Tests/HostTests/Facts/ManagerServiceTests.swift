import TestSupport
import Testing

@testable import Host

@Suite("Services of other firewall managers")
struct ManagerServiceTests {
    private func findings(_ arrange: (FakeMachine) throws -> Void) throws -> [FirewallFinding] {
        let machine = try FakeMachine()
        try arrange(machine)
        return OtherFirewalls(machine.source).findings()
    }

    private static func install(_ unit: String, on machine: FakeMachine, isEnabled: Bool = true) throws {
        try machine.write("", to: "/lib/systemd/system/\(unit)")
        guard isEnabled else { return }
        try machine.link("/etc/systemd/system/basic.target.wants/\(unit)", to: "/lib/systemd/system/\(unit)")
    }

    @Test(
        "under systemd, an active unit shows that a manager runs, enabled or not",
        arguments: ["ferm", "firehol", "shorewall"])
    func active(name: String) throws {
        for isEnabled in [true, false] {
            let found = try findings {
                try Self.install("\(name).service", on: $0, isEnabled: isEnabled)
                try $0.link("/run/systemd/units/invocation:\(name).service", to: "0123456789abcdef")
            }
            #expect(found.map(\.name) == [name])
            #expect(found.map(\.state) == [.running])
        }
    }

    @Test("settings that a removed package has left do not count", arguments: [true, false])
    func settingsOnly(isInstalled: Bool) throws {
        let found = try findings {
            try $0.write("ENABLED=yes\n", to: "/etc/ufw/ufw.conf")
            if isInstalled { try $0.write("", to: "/usr/sbin/ufw") }
        }
        #expect(found.map(\.state) == (isInstalled ? [.enabled] : []))
    }

    @Test("a process in a container, which has a network of its own, does not count", arguments: [true, false])
    func container(isHere: Bool) throws {
        let found = try findings {
            try $0.addProcess(9, parent: 1, "firewalld")
            try $0.link("/proc/9/ns/net", to: isHere ? "net:[1]" : "net:[2]")
            try $0.link("/proc/\(OwnProcess.pid)/ns/net", to: "net:[1]")
        }
        #expect(found.map(\.name) == (isHere ? ["firewalld"] : []))
    }

    @Test("nftables.service, which stays active without its rules, shows nothing by that")
    func activeNFTables() throws {
        let found = try findings {
            try Self.install("nftables.service", on: $0, isEnabled: false)
            try $0.write("drop", to: "/etc/nftables.conf")
            try $0.link("/run/systemd/units/invocation:nftables.service", to: "0123456789abcdef")
        }
        #expect(found.isEmpty)
    }

    @Test("a setting for the start at boot counts only where systemd does not start the units")
    func settings() throws {
        func state(isSystemd: Bool) throws -> [FirewallFinding.State] {
            try findings {
                try $0.write("startup=1\n", to: "/etc/default/shorewall")
                try $0.write("", to: "/usr/sbin/shorewall")
                if isSystemd { try $0.write("", to: "/run/systemd/system/x") }
            }.map(\.state)
        }
        #expect(try state(isSystemd: true) == [.installed])
        #expect(try state(isSystemd: false) == [.enabled])
    }

    @Test("Shorewall is opened after its units have stopped, and cannot lock the server at boot")
    func shorewall() throws {
        let found = try findings {
            try Self.install("shorewall.service", on: $0)
            try Self.install("shorewall6.service", on: $0, isEnabled: false)
            try Self.install("shorewall-init.service", on: $0)
        }
        #expect(
            found.first?.control?.stop == [
                ["systemctl", "disable", "shorewall-init.service"],
                ["systemctl", "disable", "--now", "shorewall.service"], ["shorewall", "clear"],
            ])
        #expect(
            found.first?.control?.start == [
                ["systemctl", "enable", "--now", "shorewall.service"],
                ["systemctl", "enable", "shorewall-init.service"],
            ])
    }

    // MARK: - OpenRC

    private static func useOpenRC(_ machine: FakeMachine, service: String, level: String? = "default") throws {
        try machine.write("", to: "/sbin/openrc-run")
        try machine.write("", to: "/etc/init.d/\(service)")
        if let level { try machine.write("", to: "/etc/runlevels/\(level)/\(service)") }
    }

    @Test(
        "under OpenRC, a service in a runlevel is enabled, and started it runs",
        arguments: ["ferm", "firehol", "firewalld", "shorewall"])
    func openRC(name: String) throws {
        let enabled = try findings { try Self.useOpenRC($0, service: name) }
        #expect(enabled.map(\.name) == [name])
        #expect(enabled.map(\.state) == [.enabled])
        let control = try #require(enabled.first?.control)
        #expect(
            control.stop.starts(with: [
                ["rc-update", "del", name, "default"], ["rc-service", "--ifstarted", name, "stop"],
            ]))
        #expect(control.start == [["rc-update", "add", name, "default"], ["rc-service", name, "start"]])
        #expect(control.startText == "sudo rc-update add \(name) default; sudo rc-service \(name) start")

        let running = try findings {
            try Self.useOpenRC($0, service: name, level: nil)
            try $0.write("", to: "/run/openrc/started/\(name)")
        }
        #expect(running.map(\.state) == [.running])
        #expect(try findings { try Self.useOpenRC($0, service: name, level: "shutdown") }.allSatisfy { !$0.isInTheWay })
    }

    @Test("under OpenRC, nftables is not stopped, because it would remove all rules, and has a file of its own")
    func openRCNFTables() throws {
        func found(_ text: String) throws -> FirewallFinding? {
            try findings {
                try Self.useOpenRC($0, service: "nftables", level: "boot")
                try $0.write("rules_file=\"/etc/nftables.nft\"\n", to: "/etc/conf.d/nftables")
                try $0.write(text, to: "/etc/nftables.nft")
            }.first
        }
        #expect(try found("table inet filter {\n}\n")?.isInTheWay == false)
        let finding = try #require(try found("add rule inet filter input drop\n"))
        #expect(finding.isInTheWay)
        #expect(finding.ruleFile == "/etc/nftables.nft")
        #expect(finding.control?.stop == [["rc-update", "del", "nftables", "boot"]])
    }

    @Test("awall is in the way as long as it has policies, and cannot be taken over")
    func awall() throws {
        let installed = try findings {
            try $0.write("", to: "/usr/sbin/awall")
            try $0.write("", to: "/etc/awall/optional/web.json")
        }
        #expect(installed.map(\.state) == [.installed])
        let enabled = try #require(
            try findings {
                try $0.write("", to: "/usr/sbin/awall")
                try $0.link("/etc/awall/web.json", to: "optional/web.json")
                try $0.link("/etc/awall/base.json", to: "optional/base.json")
            }.first)
        #expect(enabled.name == "awall" && enabled.isInTheWay)
        #expect(enabled.control == nil)
        #expect(enabled.remedy.contains("sudo awall disable base web (its rules stay active)"))
    }
}
