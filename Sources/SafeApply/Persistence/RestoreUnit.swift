import Host
import Netfilter

/// latchkey's own systemd unit, which loads the kept rules at boot; paths are without the layout's root.
enum RestoreUnit {
    /// The sets that the rules refer to.
    static let sets = "\(BootPath.restoreFolder)/ipsets"

    /// The rules of a family.
    static func rules(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue).rules" }

    /// All of its files.
    static let all = [BootPath.restoreLink, BootPath.restoreUnit, sets] + Family.allCases.map(rules)

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
        let lines = commands.map { "ExecStart=-\($0)" } + commands.map { "ExecStart=\($0)" }
        return """
            # Written by latchkey when a change is kept; the next kept change overwrites it.
            [Unit]
            Description=Load the firewall rules kept with latchkey
            Documentation=man:latchkey(8)
            DefaultDependencies=no
            Wants=network-pre.target
            After=local-fs.target systemd-modules-load.service nftables.service
            Before=network-pre.target shutdown.target
            Conflicts=shutdown.target

            [Service]
            Type=oneshot
            RemainAfterExit=yes
            \(lines.joined(separator: "\n"))

            [Install]
            WantedBy=multi-user.target

            """
    }
}
