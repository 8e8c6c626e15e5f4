import Host
import Netfilter
import SafeApply

/// The checks of `doctor`; none of them changes anything.
struct Examination: Sendable {
    let environment: ChangeEnvironment
    let isRoot: Bool

    var toolbox: Toolbox { environment.toolbox }

    // MARK: - The machine

    var system: Finding {
        let facts = SystemFacts(environment.facts)
        let kernel = Self.firstLine("/proc/sys/kernel/osrelease") ?? "unknown"
        var words = [Self.distribution ?? "an unknown distribution", "Linux \(kernel)"]
        words.append(facts.isSystemd ? "systemd" : "no systemd")
        if let container = facts.container { words.append("in a container (\(container))") }
        words.append(NetworkFacts(environment.facts).ipv6 == .available ? "IPv4 and IPv6" : "IPv4 only")
        let detail = words.joined(separator: ", ")
        switch NetworkFacts(environment.facts).ipv6 {
        case .available: return .ok("system", detail)
        case .disabled:
            return .found(
                .note, "system", "\(detail): IPv6 is disabled; latchkey loads IPv6 rules anyway.",
                remedy: "Nothing to do.")
        case .absent:
            return .found(
                .note, "system", "\(detail): this kernel has no IPv6; latchkey loads no IPv6 rules.",
                remedy: "Nothing to do.")
        }
    }

    var rights: Finding {
        isRoot
            ? .ok("rights", "root")
            : .found(
                .note, "rights", "not root: rules, other users' sockets and sshd's settings are only partly visible",
                remedy: "sudo latchkey doctor")
    }

    // MARK: - Tools

    func tools(_ options: BackendOptions) async -> [Finding] {
        var findings: [Finding] = []
        do {
            let chosen = try await backend(options)
            if chosen == .nftables { findings.append(await nft()) }
            for family in environment.families where chosen != .nftables {
                let tools = try await IPTables(
                    backend: chosen, family: family, toolbox: toolbox, runner: environment.runner)
                findings.append(.ok(family == .ipv4 ? "iptables" : "ip6tables", try await tools.version()))
            }
        } catch {
            findings.append(
                .found(
                    .missing, "iptables", error.description,
                    remedy: "Install nftables or iptables: apt-get install nftables, or dnf install nftables"))
        }
        if let chosen = try? await backend(options), chosen != .nftables, toolbox.find("ipset") == nil {
            findings.append(
                .found(
                    .note, "ipset", "not installed: needed for \"latchkey allow\" and \"block\", and for long lists",
                    remedy: "apt-get install ipset"))
        }
        let needed = [
            ("ip", "iproute2", "rehearsals and \"latchkey try\""),
            ("unshare", "util-linux", "rehearsals and \"latchkey try\""),
            ("nsenter", "util-linux", "rehearsals and \"latchkey try\""),
        ]
        for (name, package, purpose) in needed where toolbox.find(name) == nil {
            findings.append(
                .found(.warning, name, "not installed: needed for \(purpose)", remedy: "apt-get install \(package)"))
        }
        return findings
    }

    func backend(_ options: BackendOptions) async throws(HostError) -> Backend {
        try await ChosenBackend.find(options.named, in: environment)
    }

    /// The version of nft(8): 1.0.2 is the first whose listings can be loaded again with all that latchkey uses.
    private func nft() async -> Finding {
        guard let program = toolbox.find("nft") else {
            return .found(.missing, "nft", "not installed", remedy: "apt-get install nftables")
        }
        let text = (try? await environment.runner.check(Command(program, ["--version"])).text) ?? ""
        let version = text.split(separator: " ").dropFirst().first.map(String.init) ?? "of an unknown version"
        let numbers = version.drop { !$0.isNumber }.split(separator: ".").map { Int($0) ?? 0 }
        guard numbers.lexicographicallyPrecedes([1, 0, 2]) else { return .ok("nft", version) }
        return .found(
            .warning, "nft", "\(version): latchkey is tested with 1.0.2 and later",
            remedy: "Update the package nftables.")
    }

    // MARK: - Rules

    func rules(_ options: BackendOptions) async -> [Finding] {
        guard let chosen = try? await backend(options) else { return [] }
        guard isRoot else { return [] }
        guard chosen != .nftables else { return [await table()] }
        var findings: [Finding] = []
        do {
            let live = try await LiveRules(
                backend: chosen, families: environment.families, toolbox: toolbox, runner: environment.runner)
            var rules: [Rule] = []
            for family in environment.families {
                let read = try await live.read(family).withoutTemporary
                try LiveRules.requireReadable(read, family, allChains: false)
                rules += read.tables.flatMap(\.rules)
            }
            let owned = rules.count(where: \.isOwned)
            findings.append(.ok("rules", "\(rules.count) in iptables-\(chosen.rawValue), \(owned) of them latchkey's"))
        } catch {
            findings.append(
                .found(
                    .missing, "rules", "\(error)",
                    remedy: "Remove the rules that nft added to iptables' tables, or write them with iptables."))
        }
        // What belongs to a manager goes when latchkey takes over from it.
        let managers = Set(OtherManagers(environment.facts).findings.map(\.name))
        let retirement = try? await Retirement.before(chosen, in: environment)
        if await OtherBackend.isInUse(besides: chosen, taking: managers, retiring: retirement, in: environment) {
            findings.append(
                .found(
                    .missing, "two backends",
                    "iptables-nft and iptables-legacy both filter incoming packets: latchkey refuses changes.",
                    remedy: "Move all rules to one of them; --backend nft|legacy selects the one latchkey uses."))
        }
        return findings
    }

    private func table() async -> Finding {
        do {
            let kernel = try LiveTables(toolbox: toolbox, runner: environment.runner)
            guard let table = try await kernel.read([.latchkey]).first?.withoutTemporary else {
                return .ok("rules", "no table \(NFTable.Name.latchkey) yet")
            }
            return .ok("rules", "\(table.chains.map(\.rules.count).reduce(0, +)) in the table \(table.id)")
        } catch {
            return .found(
                .missing, "rules", "nft cannot list the tables: \(error)",
                remedy: "Check that the kernel has nf_tables (modprobe nf_tables), or use --backend legacy.")
        }
    }

    // MARK: - System files

    private static var distribution: String? {
        let lines = (text("/etc/os-release") ?? "").split(separator: "\n")
        let name = lines.first { $0.hasPrefix("PRETTY_NAME=") }?.dropFirst("PRETTY_NAME=".count)
        return name.map { String($0.filter { $0 != "\"" && $0 != "'" }.prefix(60)) }
    }

    private static func firstLine(_ path: String) -> String? {
        text(path)?.split(separator: "\n").first.map(String.init)
    }

    private static func text(_ path: String) -> String? {
        (try? SecureFiles.read(path, limit: 1 << 16)).map { String(decoding: $0, as: UTF8.self) }
    }
}
