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
    var offSwitches: [String] = []
    let meaning: String
    let remedy: String
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
}

extension OtherFirewalls {
    static let known: [KnownFirewall] = rivals + neighbours + keepers

    private static let rivals = [
        KnownFirewall(
            name: "csf", role: .rival, processes: ["lfd"], units: ["csf.service", "lfd.service"],
            offSwitches: ["/etc/csf/csf.disable"],
            meaning: "It replaces all firewall rules whenever it starts.",
            remedy: "To let latchkey take over: csf -x"),
        KnownFirewall(
            name: "ferm", role: .rival, units: ["ferm.service"],
            meaning: "It replaces the INPUT chain whenever it starts.",
            remedy: "To let latchkey take over: systemctl disable --now ferm"),
        KnownFirewall(
            name: "firewalld", role: .rival, processes: ["firewalld"], units: ["firewalld.service"],
            meaning: "It also filters every packet: a packet must pass its rules and latchkey's.",
            remedy: "To let latchkey take over: systemctl disable --now firewalld"),
        KnownFirewall(
            name: "nftables", role: .rival, units: ["nftables.service"],
            meaning: "Its service removes all rules, including latchkey's, whenever it starts.",
            remedy: "To let latchkey take over: systemctl disable nftables"),
        KnownFirewall(
            name: "shorewall", role: .rival, units: ["shorewall.service", "shorewall6.service"],
            settings: [
                .init(file: "/etc/default/shorewall", key: "startup", value: "1"),
                .init(file: "/etc/default/shorewall6", key: "startup", value: "1"),
            ],
            meaning: "It replaces all firewall rules whenever it starts.",
            remedy: "To let latchkey take over: systemctl disable --now shorewall"),
        KnownFirewall(
            name: "ufw", role: .rival,
            // ufw.service is enabled on every Ubuntu; only its own setting shows whether it does anything.
            settings: [.init(file: "/etc/ufw/ufw.conf", key: "ENABLED", value: "yes")],
            meaning: "It sets the INPUT policy and its own chains at boot and on every change.",
            remedy: "To let latchkey take over: ufw disable"),
    ]

    private static let neighbours = [
        KnownFirewall(
            name: "crowdsec", role: .neighbour, processes: ["crowdsec-firewa"],
            units: ["crowdsec-firewall-bouncer.service"],
            meaning: "It blocks attackers with its own rules.",
            remedy: "Answer \"keep\" to the question about existing rules."),
        KnownFirewall(
            name: "docker", role: .neighbour, processes: ["dockerd"], units: ["docker.service"],
            meaning: "Ports it publishes are forwarded and bypass INPUT: they stay open.",
            remedy: "Answer \"keep\"; publish private ports on 127.0.0.1 only."),
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
            meaning: "Ports it publishes are forwarded and bypass INPUT: they stay open.",
            remedy: "Answer \"keep\"; publish private ports on 127.0.0.1 only."),
        KnownFirewall(
            name: "tailscale", role: .neighbour, processes: ["tailscaled"], units: ["tailscaled.service"],
            meaning: "Its own chain, ahead of latchkey's, allows all packets that come through it.",
            remedy: "Answer \"keep\" to the question about existing rules."),
    ]

    private static let keepers = [
        KnownFirewall(
            name: "iptables-services", role: .keeper, units: ["iptables.service", "ip6tables.service"],
            files: ["/usr/lib/systemd/system/iptables.service", "/usr/libexec/iptables/iptables.init"],
            meaning: "It loads /etc/sysconfig/iptables at boot; latchkey saves rules there.",
            remedy: "If it is not enabled: systemctl enable iptables ip6tables"),
        KnownFirewall(
            name: "netfilter-persistent", role: .keeper, units: ["netfilter-persistent.service"],
            files: ["/usr/sbin/netfilter-persistent"],
            meaning: "It loads /etc/iptables/rules.v4 and .v6 at boot; latchkey saves rules there.",
            remedy: "Nothing to do."),
    ]
}
