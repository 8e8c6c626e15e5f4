/// How to detect one firewall program, and what to say about it.
package struct KnownFirewall: Sendable {
    /// An assignment in a settings file; the value is lower case.
    struct Setting: Sendable {
        let file: String
        let key: String
        let value: String
    }

    let name: String
    let role: FirewallFinding.Role
    var processes: [String] = []
    var units: [String] = []
    var settings: [Setting] = []
    var files: [String] = []
    /// The file without which units of these names belong to another program.
    var program: String?
    var offSwitches: [String] = []
    /// How to stop it for good, if that takes more than its units.
    var control: ManagerControl?
    /// Units that are disabled with its own, and commands that open the firewall after a unit is stopped.
    var companions: [String] = []
    var clearing: [(unit: String, command: [String])] = []
    /// The nft file that it loads: if that closes nothing, the program is no rival.
    var ruleFile: String?
    /// The folder whose JSON files are its active policies: a program without a service of its own.
    var policies: String?
    let meaning: String
    let remedy: String

    /// Whether it runs as long as its units are active.
    ///
    /// nftables.service stays active after its rules are gone, and keepers only load files.
    var showsByUnits: Bool { ruleFile == nil && role != .keeper }
}

extension KnownFirewall {
    /// Prefixes of chain names, and the programs that create such chains.
    private static let chains: [(prefix: String, owner: String)] = [
        ("DOCKER", "docker"), ("f2b-", "fail2ban"), ("fail2ban-", "fail2ban"), ("ufw-", "ufw"), ("ufw6-", "ufw"),
        ("KUBE-", "kubernetes"), ("cali-", "calico"), ("CNI-", "podman"), ("NETAVARK", "podman"),
        ("LIBVIRT_", "libvirt"), ("ts-", "tailscale"), ("CROWDSEC", "crowdsec"), ("crowdsec", "crowdsec"),
        ("IN_", "firewalld"), ("FWD_", "firewalld"), ("INPUT_ZONES", "firewalld"), ("INPUT_direct", "firewalld"),
        ("sshguard", "sshguard"), ("LOCALINPUT", "csf"), ("LOCALOUTPUT", "csf"), ("InstanceServices", "Oracle Cloud"),
        ("FLANNEL", "flannel"), ("WEAVE", "weave"), ("MINIUPNPD", "miniupnpd"),
    ]

    /// The program that creates chains with such a name, if it is known.
    package static func owner(ofChain name: String) -> String? {
        chains.first { name.hasPrefix($0.prefix) }?.owner
    }

    /// The managers that own the whole INPUT chain, and whose chains can have any name.
    private static let withoutOwnNames: Set = ["awall", "csf", "ferm", "firehol", "shorewall"]

    /// Whether a chain belongs to one of some programs: by its name, or because one of them owns all chains that no other
    /// known program owns.
    package static func owns(chain name: String, anyOf programs: Set<String>) -> Bool {
        if let owner = owner(ofChain: name) { return programs.contains(owner) }
        return !withoutOwnNames.isDisjoint(with: programs)
    }

    /// Whether one of some programs owns all rules in INPUT that no other known program owns.
    package static func ownsInput(anyOf programs: Set<String>) -> Bool { !withoutOwnNames.isDisjoint(with: programs) }
}

extension OtherFirewalls {
    static let known: [KnownFirewall] = rivals + neighbours + keepers

    private static let takeOver =
        "To let latchkey take over, safely: latchkey apply --take-over"

    private static let rivals = [
        KnownFirewall(
            name: "awall", role: .rival, files: ["/usr/sbin/awall"], policies: "/etc/awall",
            meaning: "It replaces all firewall rules, and the saved ones, whenever somebody activates its policies.",
            remedy: ""),
        KnownFirewall(
            name: "csf", role: .rival, processes: ["lfd"], units: ["csf.service", "lfd.service"],
            files: ["/usr/sbin/csf"], offSwitches: ["/etc/csf/csf.disable"],
            control: ManagerControl("csf", stop: [["csf", "-x"]], start: [["csf", "-e"]]),
            meaning: "It replaces all firewall rules whenever it starts.",
            remedy: takeOver),
        KnownFirewall(
            name: "ferm", role: .rival, units: ["ferm.service"],
            settings: [.init(file: "/etc/default/ferm", key: "ENABLED", value: "yes")], files: ["/usr/sbin/ferm"],
            meaning: "It replaces the INPUT chain whenever it starts.",
            remedy: takeOver),
        KnownFirewall(
            name: "firehol", role: .rival, units: ["firehol.service"],
            settings: [.init(file: "/etc/default/firehol", key: "START_FIREHOL", value: "yes")],
            files: ["/usr/sbin/firehol"],
            meaning: "It replaces all firewall rules whenever it starts.",
            remedy: takeOver),
        KnownFirewall(
            name: "firewalld", role: .rival, processes: ["firewalld"], units: ["firewalld.service"],
            files: ["/usr/sbin/firewalld"],
            meaning: "It filters every packet too, and removes others' rules when it reloads.",
            remedy: takeOver),
        KnownFirewall(
            name: "nftables", role: .rival, units: ["nftables.service"], files: ["/etc/nftables.conf"],
            control: ManagerControl(
                "nftables",
                // Not stopped: it would remove all rules of all programs.
                stop: [["systemctl", "disable", "nftables.service"]],
                start: [["systemctl", "enable", "nftables.service"]],
                startByHand: [
                    ["systemctl", "enable", "nftables.service"], ["systemctl", "restart", "nftables.service"],
                ]),
            ruleFile: "/etc/nftables.conf",
            meaning: "Its service removes all rules, including latchkey's, whenever it starts.",
            remedy: takeOver),
        KnownFirewall(
            name: "shorewall", role: .rival, units: ["shorewall.service", "shorewall6.service"],
            settings: [
                .init(file: "/etc/default/shorewall", key: "startup", value: "1"),
                .init(file: "/etc/default/shorewall6", key: "startup", value: "1"),
            ], files: ["/usr/sbin/shorewall", "/sbin/shorewall"],
            // It would lock the server at boot until Shorewall starts.
            companions: ["shorewall-init.service"],
            // With SAFESTOP=1, stopping the unit leaves nearly everything closed.
            clearing: [
                ("shorewall.service", ["shorewall", "clear"]), ("shorewall6.service", ["shorewall", "-6", "clear"]),
            ],
            meaning: "It replaces all firewall rules whenever it starts.",
            remedy: takeOver),
        KnownFirewall(
            name: "ufw", role: .rival,
            // ufw.service is enabled on every Ubuntu; only its own setting shows whether it does anything.
            settings: [.init(file: "/etc/ufw/ufw.conf", key: "ENABLED", value: "yes")], files: ["/usr/sbin/ufw"],
            control: ManagerControl(
                "ufw", stop: [["ufw", "--force", "disable"]], start: [["ufw", "--force", "enable"]]),
            meaning: "It sets the INPUT policy and its own chains at boot and on every change.",
            remedy: takeOver),
    ]

    private static let neighbours = [
        KnownFirewall(
            name: "crowdsec", role: .neighbour, processes: ["crowdsec-firewa"],
            units: ["crowdsec-firewall-bouncer.service"],
            meaning: "It blocks attackers with its own rules.",
            remedy: "Answer \"keep\" to the question about existing rules."),
        KnownFirewall(
            name: "docker", role: .neighbour, processes: ["dockerd"], units: ["docker.service"],
            meaning: "Ports it publishes bypass INPUT: with \"docker: open\" they stay open.",
            remedy: "Answer \"docker: answers\", or publish private ports on 127.0.0.1 only."),
        KnownFirewall(
            name: "fail2ban", role: .neighbour, processes: ["fail2ban-server"], units: ["fail2ban.service"],
            meaning: "It keeps its bans in its own chains, ahead of latchkey's rules.",
            remedy: "Answer \"keep\" to the question about existing rules."),
        KnownFirewall(
            name: "kubernetes", role: .neighbour,
            processes: ["kubelet", "kube-proxy", "k3s", "rke2", "kubelite", "k0s"],
            units: ["kubelet.service", "k3s.service", "k3s-agent.service"],
            meaning: "It writes hundreds of rules, and its nodes must reach each other.",
            remedy: "Answer \"keep\", and add the other nodes' network to the admins."),
        KnownFirewall(
            name: "libvirt", role: .neighbour, processes: ["libvirtd", "virtnetworkd"],
            units: ["libvirtd.service", "virtnetworkd.service"],
            meaning: "Its own rules connect its virtual machines to the network.",
            remedy: "Answer \"keep\" to the question about existing rules."),
        KnownFirewall(
            name: "podman", role: .neighbour, processes: ["conmon", "netavark"],
            meaning: "Ports it publishes bypass INPUT: with \"docker: open\" they stay open.",
            remedy: "Answer \"docker: answers\", or publish private ports on 127.0.0.1 only."),
        KnownFirewall(
            name: "tailscale", role: .neighbour, processes: ["tailscaled"], units: ["tailscaled.service"],
            meaning: "Its own chain, ahead of latchkey's, allows all packets that come through it.",
            remedy: "Answer \"keep\" to the question about existing rules."),
    ]

    private static let keepers = [
        KnownFirewall(
            name: "iptables-services", role: .keeper, units: ["iptables.service", "ip6tables.service"],
            files: [BootPath.servicesProgram],
            // Arch's package iptables has units of the same names.
            program: BootPath.servicesProgram,
            meaning: "It loads /etc/sysconfig/iptables at boot; latchkey saves rules there.",
            remedy: "If it is not enabled: systemctl enable iptables ip6tables"),
        KnownFirewall(
            name: "netfilter-persistent", role: .keeper, units: ["netfilter-persistent.service"],
            files: ["/usr/sbin/netfilter-persistent"],
            meaning: "It loads /etc/iptables/rules.v4 and .v6 at boot; latchkey saves rules there.",
            remedy: "Nothing to do."),
    ]
}
