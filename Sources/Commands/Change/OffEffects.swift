import Host
import Netfilter
import Policy
import SafeApply

/// What is open, and which rules stay, when latchkey's firewall is off.
struct OffEffects: Sendable, Equatable {
    /// Whether rules of latchkey's are active now.
    var isActive: Bool
    /// The programs that other machines can reach then, such as `sshd 22/tcp`.
    var listeners: [String]
    /// The programs whose rules stay, and the nftables tables of others that filter incoming packets.
    var others: [String]
    /// How many rules in INPUT stay that belong to no known program.
    var unknownRules: Int
    /// Other backends with rules of latchkey's, which stay.
    var backends: [String]

    /// The effects of a removal on this machine.
    init(of removal: Removal, in environment: ChangeEnvironment) async {
        isActive = removal.isActive
        backends = removal.others.map(\.title)
        var seen: Set<String> = []
        let published = await PublishedServices(live: nil, in: environment)
        listeners = RunningServices(published: published, environment.facts).listeners.map(\.title).filter {
            seen.insert($0).inserted
        }
        var rest = removal.rest
        if removal.backend == .nftables {
            let system = try? await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
            let live = await system.asyncMap { backend in
                try? await LiveRules(
                    backend: backend, families: environment.families, toolbox: environment.toolbox,
                    runner: environment.runner
                ).readAll()
            }
            rest = live.flatMap(\.self) ?? PerFamily()
        }
        let rules = rest.present.flatMap { $0.value.tables.flatMap(\.rules) }.filter { !$0.isOwned }
        let owners = rules.compactMap { rule in
            KnownFirewall.owner(ofChain: rule.chain) ?? rule.jumpsTo.flatMap(KnownFirewall.owner(ofChain:))
        }
        let tables =
            await NFTables(toolbox: environment.toolbox, runner: environment.runner)?.judgingInput() ?? []
        others =
            Set(owners).sorted() + tables.filter { $0 != NFTable.Name.latchkey.description }.map { "nft table \($0)" }
        unknownRules = rest.present.flatMap { RuleEdits.unowned(in: $0.value) }.count
    }

    /// Effects; see the properties.
    init(isActive: Bool, listeners: [String], others: [String], unknownRules: Int, backends: [String]) {
        self.isActive = isActive
        self.listeners = listeners
        self.others = others
        self.unknownRules = unknownRules
        self.backends = backends
    }

    /// The effects in sentences.
    var sentences: [String] {
        guard isActive else { return ["No rules of latchkey's are active. What loads them at boot is removed."] + rest }
        let reach = "latchkey's firewall goes off: every port where a program listens can be reached by everyone"
        let isFiltered = !others.isEmpty || unknownRules > 0
        return [
            reach + (isFiltered ? ", as far as other rules allow" : "")
                + (listeners.isEmpty ? "." : ": \(listeners.joined(separator: ", ")).")
        ] + rest
    }

    private var rest: [String] {
        var lines: [String] = []
        if !others.isEmpty { lines.append("The rules of other programs stay: \(others.joined(separator: ", ")).") }
        if unknownRules > 0 {
            lines.append("Rules in INPUT that belong to no known program stay too: \(unknownRules).")
        }
        if !backends.isEmpty {
            lines.append(
                "Rules of latchkey's are also in \(backends.joined(separator: ", ")). To remove them as well, run "
                    + "\"latchkey off\" again afterwards.")
        }
        return lines
    }
}
