import Host
import Netfilter
import Testing

@Suite("Listening programs")
struct ListenerTests {
    @Test("a program that listens on both families and several addresses is one entry, sorted by port")
    func merged() throws {
        let machine = try FakeMachine()
        try machine.addProcess(5, parent: 1, "nginx", sockets: [3: 1, 4: 2])
        try machine.addProcess(6, parent: 5, "nginx", sockets: [3: 1, 4: 2])
        try machine.addProcess(7, parent: 1, "postgres", sockets: [3: 3])
        try machine.addProcess(8, parent: 1, "MainThread", sockets: [3: 4], program: "/usr/bin/node")
        try machine.setTCP(
            [
                row("0100007F:1538", Ends.any, "0A", inode: 3), row("00000000:0050", Ends.any, "0A", inode: 1),
                row("00000000:0BB8", Ends.any, "0A", inode: 4), row("00000000:C000", Ends.any, "0A", inode: 99),
            ],
            tcp6: [
                row("00000000000000000000000000000000:0050", "00000000000000000000000000000000:0000", "0A", inode: 2)
            ])
        try machine.setUDP([row("00000000:C001", Ends.any, "07", inode: 98)])
        let found = listeners(machine.source)
        #expect(found.map(\.port) == [80, 3000, 5432, 49152, 49153])
        #expect(found.map(\.program) == ["nginx", "node", "postgres", nil, nil])
        #expect(found.map(\.pids) == [[5, 6], [8], [7], [], []])
        #expect(found.map(\.isLocalOnly) == [false, false, true, false, false])
        // UDP only: a client waits for its reply on such a port, but a listening TCP socket serves others.
        #expect(found.map(\.isEphemeral) == [false, false, false, false, true])
        #expect(found.first?.addresses.map(\.description) == ["0.0.0.0", "::"])
    }

    @Test("a machine without readable facts has no listeners")
    func nothing() throws {
        #expect(listeners(try FakeMachine().source).isEmpty)
    }
}

@Suite("Other firewall programs")
struct OtherFirewallTests {
    private func findings(_ arrange: (FakeMachine) throws -> Void) throws -> [FirewallFinding] {
        let machine = try FakeMachine()
        try arrange(machine)
        return OtherFirewalls(machine.source).findings()
    }

    @Test(
        "a running program is found by its process",
        arguments: [
            ("firewalld", "firewalld"), ("fail2ban-server", "fail2ban"), ("dockerd", "docker"), ("conmon", "podman"),
            ("kubelet", "kubernetes"), ("k3s-server", "kubernetes"), ("lfd - sleeping", "csf"),
            ("tailscaled", "tailscale"), ("libvirtd", "libvirt"), ("crowdsec-firewa", "crowdsec"),
        ])
    func running(process: String, name: String) throws {
        let found = try findings { try $0.addProcess(9, parent: 1, process) }
        #expect(found.map(\.name) == [name])
        #expect(found.map(\.state) == [.running])
        #expect(try findings { try $0.addProcess(9, parent: 1, process, state: "Z") }.isEmpty)
    }

    @Test(
        "an enabled unit is found", arguments: ["nftables", "firewalld", "ferm", "shorewall", "netfilter-persistent"])
    func enabled(name: String) throws {
        let found = try findings {
            try $0.write("", to: "/lib/x")
            try $0.link("/etc/systemd/system/multi-user.target.wants/\(name).service", to: "/lib/x")
        }
        #expect(found.map(\.name) == [name])
        #expect(found.map(\.state) == [.enabled])
    }

    @Test("a link left behind by a removed package enables nothing")
    func danglingLink() throws {
        let link = "/etc/systemd/system/multi-user.target.wants/netfilter-persistent.service"
        func isEnabled(_ target: String, _ furnish: (FakeMachine) throws -> Void) throws -> Bool {
            let machine = try FakeMachine()
            try machine.link(link, to: target)
            try furnish(machine)
            return SystemdUnits(machine.source).isEnabled("netfilter-persistent.service")
        }
        let unit = "/lib/systemd/system/netfilter-persistent.service"
        #expect(try !isEnabled(unit) { _ in })
        #expect(try isEnabled(unit) { try $0.write("", to: unit) })
        // Absolute links are resolved below the root, also on the way; relative links start at the link's folder.
        #expect(
            try isEnabled(unit) {
                try $0.write("", to: "/usr" + unit)
                try $0.link("/lib", to: "/usr/lib")
            })
        #expect(try isEnabled("../../../.." + unit) { try $0.write("", to: unit) })
        #expect(try !isEnabled("/etc/hostname-of-nobody") { _ in })
        // This file exists on every machine that runs the tests, and on no fake one.
        #expect(try !isEnabled("/proc/self/stat") { _ in })
        #expect(try !isEnabled(unit) { try $0.link(unit, to: link) })
        // systemd goes by the name: a unit file in another folder is found.
        #expect(try isEnabled("/gone") { try $0.write("", to: unit) })
    }

    @Test("ufw is judged by its own setting, not by its unit")
    func ufw() throws {
        func found(_ text: String) throws -> [String] {
            try findings {
                try $0.write(text, to: "/etc/ufw/ufw.conf")
                try $0.write("", to: "/usr/sbin/ufw")
                try $0.write("", to: "/lib/x")
                try $0.link("/etc/systemd/system/multi-user.target.wants/ufw.service", to: "/lib/x")
            }.filter(\.isInTheWay).map(\.name)
        }
        #expect(try found("ENABLED=yes\nLOGLEVEL=low\n") == ["ufw"])
        #expect(try found("ENABLED=\"yes\"\n") == ["ufw"])
        #expect(try found("ENABLED=yes\nENABLED=no\n").isEmpty)
        #expect(try found("# ENABLED=yes\nENABLED=no\n").isEmpty)
    }

    @Test("csf that is switched off is not reported")
    func csf() throws {
        let found = try findings {
            try $0.write("", to: "/lib/x")
            try $0.link("/etc/systemd/system/multi-user.target.wants/csf.service", to: "/lib/x")
            try $0.write("", to: "/etc/csf/csf.disable")
        }
        #expect(found.map(\.state) == [.installed])
        let installed = try findings {
            try $0.write("", to: "/usr/sbin/csf")
            try $0.write("", to: "/etc/csf/csf.disable")
        }
        #expect(installed.map(\.state) == [.installed])
        #expect(installed.allSatisfy { !$0.isInTheWay })
    }

    @Test("nftables.service is in the way only if its file closes something")
    func nftablesFile() throws {
        func found(_ text: String) throws -> FirewallFinding? {
            try findings {
                try $0.write(text, to: "/etc/nftables.conf")
                try $0.write("", to: "/lib/x")
                try $0.link("/etc/systemd/system/sysinit.target.wants/nftables.service", to: "/lib/x")
            }.first
        }
        let open = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; # drop\n\t}\n}\n"
        #expect(try found(open)?.isInTheWay == false)
        #expect(try found(open + "include \"/etc/nftables.d/*\"\n")?.isInTheWay == true)
        #expect(try found("add rule inet filter input drop\n")?.isInTheWay == true)
        #expect(try findings { try $0.write("drop", to: "/etc/nftables.conf") }.isEmpty)
    }

    @Test("the commands that stop a manager name its units that are there, or its own switch")
    func controls() throws {
        let found = try findings {
            try $0.write("ENABLED=yes\n", to: "/etc/ufw/ufw.conf")
            try $0.write("", to: "/usr/sbin/ufw")
            try $0.write("", to: "/lib/systemd/system/shorewall.service")
            try $0.link(
                "/etc/systemd/system/basic.target.wants/shorewall.service",
                to: "/lib/systemd/system/shorewall.service")
        }
        #expect(found.map(\.name) == ["shorewall", "ufw"])
        #expect(
            found.compactMap(\.control?.stop) == [
                [["systemctl", "disable", "--now", "shorewall.service"], ["shorewall", "clear"]],
                [["ufw", "--force", "disable"]],
            ])
        #expect(
            found.compactMap(\.control?.startText) == [
                "sudo systemctl enable --now shorewall.service", "sudo ufw --force enable",
            ])
        let keeper = try findings { try $0.write("", to: "/usr/sbin/netfilter-persistent") }
        #expect(keeper.allSatisfy { $0.control == nil })
    }

    @Test("a program that restores rules at boot is found even if it is only installed")
    func keepers() throws {
        let found = try findings { try $0.write("", to: "/usr/sbin/netfilter-persistent") }
        #expect(found.map(\.role) == [.keeper])
        #expect(found.map(\.state) == [.installed])
    }

    @Test("units of iptables-services' names belong to another program where its own program is missing")
    func sameUnits() throws {
        let isEnabled: (FakeMachine) throws -> Void = { machine in
            try machine.write("", to: "/usr/lib/systemd/system/iptables.service")
            try machine.write("", to: "/etc/systemd/system/multi-user.target.wants/iptables.service")
        }
        #expect(try findings(isEnabled).isEmpty)
        let found = try findings {
            try isEnabled($0)
            try $0.write("", to: "/usr/libexec/iptables/iptables.init")
        }
        #expect(found.map(\.name) == ["iptables-services"])
        #expect(found.map(\.state) == [.enabled])
    }

    @Test("conflicting firewalls come first, and every sentence fits a terminal")
    func order() throws {
        let found = try findings {
            try $0.write("ENABLED=yes\n", to: "/etc/ufw/ufw.conf")
            try $0.write("", to: "/usr/sbin/ufw")
            try $0.write("", to: "/usr/sbin/netfilter-persistent")
            for (number, name) in ["dockerd", "fail2ban-server", "kubelet", "firewalld", "lfd"].enumerated() {
                try $0.addProcess(Int32(number + 5), parent: 1, name)
            }
        }
        #expect(
            found.map(\.name) == [
                "csf", "firewalld", "ufw", "docker", "fail2ban", "kubernetes", "netfilter-persistent",
            ])
        for finding in found {
            #expect(finding.meaning.count <= 80)
            #expect(finding.remedy.count <= 80)
        }
    }
}

@Suite("Routes, IPv6 and the kind of system")
struct SystemTests {
    @Test("default routes of both families are found, and unreachable ones are not")
    func routes() throws {
        let machine = try FakeMachine()
        try machine.write(
            """
            Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
            eth0\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0
            eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
            broken

            """, to: "/proc/net/route")
        let zeros = String(repeating: "0", count: 32)
        try machine.write(
            """
            \(zeros) 00 \(zeros) 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
            \(zeros) 00 \(zeros) 00 \(zeros) ffffffff 00000001 00000000 00200200       lo
            20010db8000000000000000000000000 40 \(zeros) 00 \(zeros) 00000100 00000001 00000000 00000001     eth1

            """, to: "/proc/net/ipv6_route")
        let facts = NetworkFacts(machine.source)
        #expect(facts.defaultRoutes.map(\.interface) == ["eth0", "eth0"])
        #expect(facts.hasDefaultRoute(ipv6: false))
        #expect(facts.hasDefaultRoute(ipv6: true))
        #expect(NetworkFacts(try FakeMachine().source).defaultRoutes.isEmpty)
    }

    @Test("IPv6 is available, turned off, or not in the kernel")
    func ipv6() throws {
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n"
        let link = "fe800000000000000000000000000001 02 40 20 80     eth0\n"
        func state(addresses: String?, disabled: String) throws -> NetworkFacts.IPv6 {
            let machine = try FakeMachine()
            if let addresses { try machine.write(addresses, to: "/proc/net/if_inet6") }
            try machine.write(disabled, to: "/proc/sys/net/ipv6/conf/all/disable_ipv6")
            return NetworkFacts(machine.source).ipv6
        }
        #expect(try state(addresses: loopback + link, disabled: "0\n") == .available)
        #expect(try state(addresses: loopback, disabled: "0\n") == .available)
        #expect(try state(addresses: "", disabled: "1\n") == .disabled)
        #expect(try state(addresses: link, disabled: "1\n") == .available)
        #expect(try state(addresses: nil, disabled: "0\n") == .absent)
    }

    @Test("systemd, the boot ID and containers are detected by their files")
    func system() throws {
        let machine = try FakeMachine()
        #expect(SystemFacts(machine.source) == SystemFacts(machine.source))
        #expect(!SystemFacts(machine.source).isSystemd)
        #expect(SystemFacts(machine.source).container == nil)
        try machine.write("", to: "/run/systemd/system/x")
        try machine.write("6f1c1a3e-0000-4000-8000-000000000000\n", to: "/proc/sys/kernel/random/boot_id")
        try machine.write("", to: "/.dockerenv")
        let facts = SystemFacts(machine.source)
        #expect(facts.isSystemd)
        #expect(facts.container == "docker")
        #expect(facts.bootID == "6f1c1a3e-0000-4000-8000-000000000000")
        try machine.addProcess(1, parent: 0, "init", environment: ["container=lxc"])
        #expect(SystemFacts(machine.source).container == "lxc")
        try machine.write("systemd-nspawn\n", to: "/run/systemd/container")
        #expect(SystemFacts(machine.source).container == "systemd-nspawn")
    }

    @Test("this machine has a boot identifier and a loopback address")
    func live() {
        #expect(SystemFacts().bootID?.count == 36)
        let loopback = ownAddresses().filter(\.address.isLoopback)
        #expect(loopback.allSatisfy { $0.scope == .host && !$0.interface.isEmpty })
        #expect(loopback.contains { $0.address.description == "127.0.0.1" && $0.prefixLength == 8 && $0.isUp })
    }
}
