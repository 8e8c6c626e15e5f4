import Host
import Netfilter

/// latchkey's own unit, which loads at boot what is kept; paths are the machine's, without the layout's root.
enum RestoreUnit {
    /// The sets that the rules name.
    static let sets = "\(BootPath.restoreFolder)/ipsets"

    /// The rules of a family.
    static func rules(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue).rules" }

    /// All of its files.
    static let all = [BootPath.restoreLink, BootPath.restoreUnit, sets] + Family.allCases.map(rules)

    /// The unit that runs commands, each twice, which changes nothing the second time.
    ///
    /// The first time whatever can be loaded is, whatever became of the commands before (a leading `-`,
    /// systemd.service(5)): trouble with one family must not keep the other from its rules. The second time a failure
    /// counts, so that the unit has failed where a part of the rules is missing.
    ///
    /// systemd.special(7): what orders itself ahead of network-pre.target acts before any interface is up.
    ///
    /// Debian's nftables.service begins with `flush ruleset`, which takes the rules of iptables-nft too.
    ///
    /// - Parameter commands: programs by their absolute paths, with words that need no quotes.
    /// - Returns: the text of the file.
    static func text(_ commands: [String]) -> String {
        let lines = commands.map { "ExecStart=-\($0)" } + commands.map { "ExecStart=\($0)" }
        return """
            # Written by latchkey when a change was kept; replaced with the next one.
            [Unit]
            Description=Firewall rules kept with latchkey
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
