import Host
import Netfilter

/// What latchkey's own unit or script does at boot.
///
/// The commands are programs with absolute paths, with words that need no quotes.
struct RestoreSteps: Sendable, Equatable {
    /// The commands that run first; their errors are ignored, so that one family gets its rules even if the other fails.
    var attempts: [String]
    /// The commands that run afterwards; if one fails, a part of the rules is missing, and the unit fails.
    var required: [String]
    /// Whether they load tables of nftables, which nftables.service flushes when it is restarted or reloaded.
    var isForNFTables = false
    /// The services of the system that load rules naming the sets that these commands create; none for all else.
    var laterServices: [String] = []

    /// The services of other firewalls; some of them remove everybody's rules when they start.
    static let otherFirewalls = [
        "nftables", "ufw", "firewalld", "shorewall", "shorewall6", "ferm", "firehol", "csf",
    ]

    /// The services that load rules of iptables when they start, and remove those that are there.
    static let ruleServices = ["iptables", "ip6tables", "iptables-restore", "ip6tables-restore"]

    /// The services of the system that load the same rules: if all of them have, these steps are not needed.
    var fallbackFor: [String] = []

    /// The steps for iptables: each command runs twice, which changes nothing the second time.
    init(_ commands: [String] = [], before laterServices: [String] = []) {
        attempts = commands
        required = commands
        self.laterServices = laterServices
    }

    /// Adds a command that runs twice.
    mutating func add(_ command: String) {
        attempts.append(command)
        required.append(command)
    }

    /// Adds the commands that load a file with rules of iptables or, if that cannot be loaded, the first one of others.
    ///
    /// An empty file is one that was not written completely: iptables-restore would accept it.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - others: the files with fewer rules.
    ///   - program: the path of iptables-restore.
    mutating func load(_ file: String, orElse others: [String], program: String) {
        func loading(_ file: String) -> String { "{ test -s \(file) && \(program) -w 10 --noflush \(file); }" }
        let warning = "echo \"latchkey: \(file) cannot be loaded.\" >&2"
        let last = others.isEmpty ? "" : " || { \(warning); \(others.map(loading).joined(separator: " || ")); }"
        attempts.append("/bin/sh -c '\(loading(file))\(last)'")
        required.append("/bin/sh -c '\(loading(file))'")
    }

    /// The steps for nftables.
    ///
    /// - Parameter commands: the command that loads the tables and, if there is one, the command that makes a small table
    ///   for SSH where none exists. If the first one fails, the second one takes effect.
    init(nftables commands: [String]) {
        attempts = commands
        required = Array(commands.prefix(1))
        isForNFTables = true
    }

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
}
