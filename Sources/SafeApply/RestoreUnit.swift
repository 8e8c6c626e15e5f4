import Netfilter

/// latchkey's own unit, which loads at boot what is kept; paths are the machine's, without the layout's root.
enum RestoreUnit {
    /// The folder of what it loads.
    static let folder = "/var/lib/latchkey/restore"
    /// The sets that the rules name.
    static let sets = "\(folder)/ipsets"
    /// The unit itself.
    static let unit = "/etc/systemd/system/latchkey-restore.service"
    /// What makes systemd start it.
    static let link = "/etc/systemd/system/multi-user.target.wants/latchkey-restore.service"

    /// The rules of a family.
    static func rules(_ family: Family) -> String { "\(folder)/\(family.rawValue).rules" }

    /// All of its files.
    static let all = [link, unit, sets] + Family.allCases.map(rules)

    /// The unit that runs commands.
    ///
    /// Each runs whatever became of those before it: trouble with one family must not keep the other from its rules.
    /// The unit has failed if one of them has.
    ///
    /// systemd.special(7): what orders itself ahead of network-pre.target acts before any interface is up.
    ///
    /// Debian's nftables.service begins with `flush ruleset`, which takes the rules of iptables-nft too.
    ///
    /// - Parameter commands: lines for a shell, without quotes.
    /// - Returns: the text of the file.
    static func text(_ commands: [String]) -> String {
        // systemd.service(5): a dollar sign is doubled.
        let lines = ["failed=0;"] + commands.map { "\($0) || failed=1;" } + ["exit $$failed"]
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
            ExecStart=/bin/sh -c '\(lines.joined(separator: " \\\n    "))'

            [Install]
            WantedBy=multi-user.target

            """
    }
}
