import Host
import Netfilter

/// latchkey's own systemd unit, which loads the kept rules at boot; paths are without the layout's root.
enum RestoreUnit {
    /// The sets that the rules refer to.
    static let sets = "\(BootPath.restoreFolder)/ipsets"

    /// The rules of a family.
    static func rules(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue).rules" }

    /// The files with rules and sets.
    static let files =
        [sets, TableBootText.rulesFile, TableBootText.fallbackFile] + Family.allCases.map(rules)
        + Family.allCases.flatMap { [RuleBootText.restFile($0), RuleBootText.sshFile($0)] }

    /// The links that make systemd start it, each with its target; the second one is for nftables.
    static let links = [BootPath.restoreLink, BootPath.restoreLinkForNFTables]
        .map { (path: $0, target: BootPath.restoreUnit) }

    /// All of its files.
    static let all = links.map(\.path) + [BootPath.restoreUnit] + files

    /// The unit.
    ///
    /// A leading `-` ignores the errors of a command (systemd.service(5)).
    ///
    /// systemd.special(7): a unit ordered before network-pre.target runs before any interface is up. It starts after the
    /// file systems, the modules, and the units of other firewalls. Debian's nftables.service begins with
    /// `flush ruleset`, which also removes the rules of iptables-nft.
    ///
    /// A restart, a stop or a reload of nftables.service flushes all tables. With nftables, this unit is therefore
    /// restarted and reloaded with it, and started whenever it is (systemd.unit(5): PartOf, ReloadPropagatedFrom,
    /// WantedBy).
    static func text(_ steps: RestoreSteps) -> String {
        let firewalls = steps.laterServices.isEmpty ? RestoreSteps.otherFirewalls + RestoreSteps.ruleServices : []
        let earlier = ["local-fs.target", "systemd-modules-load.service"] + firewalls.map { "\($0).service" }
        var unit = "After=\(earlier.joined(separator: " "))"
        var service = steps.attempts.map { "ExecStart=-\($0)" } + steps.required.map { "ExecStart=\($0)" }
        if !steps.fallbackFor.isEmpty {
            // The rules that a service has loaded include those of other programs, which this unit would remove.
            let loaded = steps.fallbackFor.map { "systemctl --quiet is-active \($0)" }.joined(separator: " && ")
            service.insert("ExecCondition=/bin/sh -c '! { \(loaded); }'", at: 0)
        }
        if steps.isForNFTables {
            unit += "\nPartOf=nftables.service\nReloadPropagatedFrom=nftables.service"
            service += steps.required.map { "ExecReload=\($0)" }
        }
        let later = (steps.laterServices + ["network-pre.target", "shutdown.target"]).joined(separator: " ")
        return """
            # Written by latchkey when a change is kept; the next kept change overwrites it.
            [Unit]
            Description=Load the firewall rules kept with latchkey
            Documentation=man:latchkey(8)
            DefaultDependencies=no
            Wants=network-pre.target
            \(unit)
            Before=\(later)
            Conflicts=shutdown.target

            [Service]
            Type=oneshot
            RemainAfterExit=yes
            \(service.joined(separator: "\n"))

            [Install]
            WantedBy=multi-user.target\(steps.isForNFTables ? " nftables.service" : "")

            """
    }

    /// The links that make systemd start it.
    static func links(_ steps: RestoreSteps) -> [(path: String, target: String)] {
        steps.isForNFTables ? links : Array(links.prefix(1))
    }
}
