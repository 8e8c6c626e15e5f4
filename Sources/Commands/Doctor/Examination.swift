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
            for family in environment.families {
                let tools = try await IPTables(
                    backend: chosen, family: family, toolbox: toolbox, runner: environment.runner)
                findings.append(.ok(family == .ipv4 ? "iptables" : "ip6tables", try await tools.version()))
            }
        } catch {
            findings.append(
                .found(
                    .missing, "iptables", error.description,
                    remedy: "Install it: apt-get install iptables, or dnf install iptables-nft"))
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
        if let named = options.named { return named }
        return try await IPTables.backend(toolbox: toolbox, runner: environment.runner)
    }

    // MARK: - Rules

    func rules(_ options: BackendOptions) async -> [Finding] {
        guard let chosen = try? await backend(options) else { return [] }
        guard isRoot else { return [] }
        var findings: [Finding] = []
        do {
            let live = try await LiveRules(
                backend: chosen, families: environment.families, toolbox: toolbox, runner: environment.runner)
            var rules: [Rule] = []
            for family in environment.families {
                let read = try await live.read(family)
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
        if await OtherBackend.isInUse(besides: chosen, in: environment) {
            findings.append(
                .found(
                    .missing, "two backends",
                    "iptables-nft and iptables-legacy both filter incoming packets: latchkey refuses changes.",
                    remedy: "Move all rules to one of them; --backend nft|legacy selects the one latchkey uses."))
        }
        return findings
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
