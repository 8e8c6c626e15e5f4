/// The paths of latchkey's files (latchkey(8), FILES), all of them under one root folder.
package struct Layout: Sendable, Equatable {
    /// "" for the machine itself, otherwise the folder that `LATCHKEY_ROOT` names, without a trailing slash.
    package let root: String

    /// The layout under a root folder; nil, "" and "/" mean the machine itself.
    package init(root: String? = nil) {
        var path = root ?? ""
        while path.hasSuffix("/") { path.removeLast() }
        self.root = path
    }

    /// A path of the machine, put under the root.
    package func path(_ absolute: String) -> String { root + absolute }

    /// The answers of the last kept change.
    package var answers: String { path("/etc/latchkey/answers.yaml") }
    /// The administrator's service and rule templates.
    package var templates: String { path("/etc/latchkey/templates") }
    /// The state that survives a reboot.
    package var state: String { path("/var/lib/latchkey") }
    /// The snapshots, one folder each.
    package var snapshots: String { state + "/snapshots" }
    /// The history of changes, one line per event.
    package var history: String { state + "/history.jsonl" }
    /// The files that are deleted at reboot: locks, journal, socket.
    package var run: String { path("/run/latchkey") }
    /// Held by the guard of a pending change (flock(2)).
    package var lock: String { run + "/lock" }
    /// Held by the supervisor of the pending change (flock(2)).
    package var supervisorLock: String { run + "/supervisor.lock" }
    /// Held by the client that begins a change, until it is pending (flock(2)).
    package var beginLock: String { run + "/begin.lock" }
    /// The journal of the pending or last change.
    package var journal: String { run + "/journal.json" }
    /// When the gates of the pending trial were last renewed.
    package var renewal: String { run + "/renewed" }
    /// The rules of the moment before other firewall managers are stopped.
    package var rulesBeforeHandover: String { run + "/handover.json" }
    /// The record of the plan that is observed.
    package var observation: String { run + "/observation.json" }
    /// The guard's socket.
    package var socket: String { run + "/guard.sock" }
    /// The record of the last kept change.
    package var kept: String { state + "/kept.json" }

    /// The file in which a request waits for its guard.
    package func request(_ change: String) -> String { "\(run)/\(change).request" }

    /// The file in which a guard that could not begin a change reports why.
    package func failure(_ change: String) -> String { "\(run)/\(change).failure" }

    /// The copy of a request beside its snapshot, in case the journal is lost.
    package func keptRequest(_ change: String) -> String { "\(snapshots)/\(change)/request.json" }
}

/// The files from which a machine loads rules at boot, without the layout's root.
package enum BootPath {
    /// netfilter-persistent's rules of IPv4 and IPv6, and its sets.
    package static let persistentIPv4 = "/etc/iptables/rules.v4"
    package static let persistentIPv6 = "/etc/iptables/rules.v6"
    package static let persistentSets = "/etc/iptables/ipsets"
    /// The plug-ins of netfilter-persistent that load rules and sets.
    package static let persistentRulesPlugin = "/usr/share/netfilter-persistent/plugins.d/15-ip4tables"
    package static let persistentSetsPlugin = "/usr/share/netfilter-persistent/plugins.d/10-ipset"
    /// The rules of iptables-services, and the program that loads them.
    package static let servicesIPv4 = "/etc/sysconfig/iptables"
    package static let servicesIPv6 = "/etc/sysconfig/ip6tables"
    package static let servicesProgram = "/usr/libexec/iptables/iptables.init"
    /// The files that latchkey's own unit or script loads.
    package static let restoreFolder = "/var/lib/latchkey/restore"
    /// latchkey's own unit, and the link that makes systemd start it.
    package static let restoreUnit = "/etc/systemd/system/latchkey-restore.service"
    package static let restoreLink = "/etc/systemd/system/multi-user.target.wants/latchkey-restore.service"
    /// The link that makes systemd start latchkey's own unit together with nftables.service.
    package static let restoreLinkForNFTables = "/etc/systemd/system/nftables.service.wants/latchkey-restore.service"
    /// latchkey's own script for OpenRC, without systemd.
    package static let restoreScript = "/etc/init.d/latchkey-restore"
    /// The folder for the administrator's unit files.
    package static let systemUnits = "/etc/systemd/"
}
