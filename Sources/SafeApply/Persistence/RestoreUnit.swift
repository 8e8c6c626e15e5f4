import Host
import Netfilter

/// latchkey's own systemd unit, which loads the kept rules at boot; paths are without the layout's root.
enum RestoreUnit {
    /// The sets that the rules refer to.
    static let sets = "\(BootPath.restoreFolder)/ipsets"

    /// The rules of a family.
    static func rules(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue).rules" }

    /// The files with rules and sets.
    static let files = [sets, TableBootText.rulesFile, TableBootText.fallbackFile] + Family.allCases.map(rules)

    /// The links that make systemd start it.
    static let links = [BootPath.restoreLink, BootPath.restoreLinkForNFTables]

    /// All of its files.
    static let all = links + [BootPath.restoreUnit] + files

    /// What starts before it: file systems, modules, and the units of other firewall managers, some of which remove
    /// everybody's rules when they start.
    private static let earlier =
        "local-fs.target systemd-modules-load.service nftables.service ufw.service firewalld.service shorewall.service "
        + "shorewall6.service ferm.service firehol.service csf.service"

    /// The commands that lead packets to latchkey's chain for published ports; run again, they change nothing.
    ///
    /// A file for iptables-restore cannot do that: it would add the rules again, or flush the rules of others in
    /// DOCKER-USER. Docker keeps a chain DOCKER-USER that is there before it starts, and the rules in it.
    ///
    /// - Parameters:
    ///   - published: the rules.
    ///   - program: the path of iptables.
    /// - Returns: a command for the shell, or none.
    static func jumps(_ published: PublishedRules, program: String) -> [String] {
        guard published.rules != nil else { return [] }
        let tool = "\(program) -w 10"
        let steps = PublishedChains.shared.flatMap { chain in
            (published.jumps[chain] ?? []).map { rule in
                "{ \(tool) -C \(chain) \(rule.body) 2>/dev/null || \(tool) -I \(chain) 1 \(rule.body); }"
            }
        }
        return ["/bin/sh -c '\(tool) -N \(PublishedChains.dockerUser) 2>/dev/null; \(steps.joined(separator: " && "))'"]
    }

    /// The unit; it runs each command twice, which changes nothing the second time.
    ///
    /// In the first round the errors are ignored (a leading `-`, systemd.service(5)): if one family fails, the other
    /// still gets its rules. In the second round a failure counts, so that the unit fails if a part of the rules is
    /// missing.
    ///
    /// systemd.special(7): a unit ordered before network-pre.target runs before any interface is up.
    ///
    /// Debian's nftables.service begins with `flush ruleset`, which also removes the rules of iptables-nft.
    ///
    /// - Parameter commands: programs with absolute paths, with words that need no quotes.
    /// - Returns: the text of the file.
    static func text(_ commands: [String]) -> String {
        text(
            unit: "After=\(earlier)",
            service: commands.map { "ExecStart=-\($0)" } + commands.map { "ExecStart=\($0)" })
    }

    /// The unit for nftables.
    ///
    /// A restart, a stop or a reload of nftables.service flushes all tables (`flush ruleset`). So this unit is restarted
    /// and reloaded with it, and started whenever it is (systemd.unit(5): PartOf, ReloadPropagatedFrom, WantedBy).
    ///
    /// - Parameter commands: the command that loads the tables and, if there is one, the command that makes a small table
    ///   for SSH where none exists. If the first one fails, the second one takes effect, and the unit fails.
    /// - Returns: the text of the file.
    static func text(nftables commands: [String]) -> String {
        text(
            unit: """
                After=\(earlier)
                PartOf=nftables.service
                ReloadPropagatedFrom=nftables.service
                """,
            service: commands.map { "ExecStart=-\($0)" } + ["ExecStart=\(commands[0])", "ExecReload=\(commands[0])"],
            wantedBy: "multi-user.target nftables.service")
    }

    private static func text(unit: String, service: [String], wantedBy: String = "multi-user.target") -> String {
        """
        # Written by latchkey when a change is kept; the next kept change overwrites it.
        [Unit]
        Description=Load the firewall rules kept with latchkey
        Documentation=man:latchkey(8)
        DefaultDependencies=no
        Wants=network-pre.target
        \(unit)
        Before=network-pre.target shutdown.target
        Conflicts=shutdown.target

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        \(service.joined(separator: "\n"))

        [Install]
        WantedBy=\(wantedBy)

        """
    }
}
