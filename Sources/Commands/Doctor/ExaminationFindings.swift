import Host
import Netfilter
import Rehearsal
import SafeApply

extension Examination {
    // MARK: - SSH and listeners

    func ssh() async -> [Finding] {
        let found = await SSHServer(environment.facts).ports(sshd: toolbox.find("sshd"), runner: environment.runner)
        var findings: [Finding] = []
        if found.ports.isEmpty {
            findings.append(
                .found(
                    .note, "sshd", "No SSH server port was found; latchkey opens port 22.",
                    remedy: "If sshd uses another port, name it in the answers: ssh: { ports: [2222] }"))
        } else {
            let ports = found.ports.map { port in
                "\(port) (\((found.evidence[port] ?? []).map(\.words).sorted().joined(separator: ", ")))"
            }
            findings.append(.ok("sshd", "port \(ports.joined(separator: ", "))"))
        }
        for problem in found.problems where isRoot {
            findings.append(
                .found(.warning, "sshd", problem, remedy: "Correct what \"sshd -T\" reports, and try again."))
        }
        findings.append(caller)
        return findings
    }

    /// How the user is connected, and whether a new login over that connection can be tested.
    private var caller: Finding {
        switch Caller(environment.facts).origin {
        case .ssh(let monitor) where monitor.isFromThisMachine:
            .found(
                .note, "you", "by SSH from this machine itself: that does not test a login from outside",
                remedy: "Confirm changes from another machine.")
        case .ssh(let monitor):
            .ok("you", "by SSH, port \(monitor.local.port), \(monitor.remote.address.family.title)")
        case .local(let place):
            .ok("you", "at this machine (\(place)): confirming does not require a new SSH login")
        case .remoteUnproven(let reason):
            .found(
                .note, "you", "remote, over a connection that latchkey cannot see: \(reason)",
                remedy: "Confirm changes in a new SSH login, or override with --same-connection.")
        }
    }

    var listening: Finding {
        let open = ReachableListeners.reachable(.listening(environment.facts), environment.facts)
        let names = open.map { "\($0.program ?? "unknown") \($0.port)/\($0.transport)" }
        return .ok(
            "listening", names.isEmpty ? "no program that other machines can reach" : names.joined(separator: ", "))
    }

    // MARK: - Other firewalls

    func firewalls(_ options: BackendOptions) async -> [Finding] {
        let leftovers = await leftovers(options)
        let left = Set(leftovers?.all.map(\.owner) ?? [])
        let tables = await otherTables(
            try? await backend(options), besides: leftovers?.all.flatMap(\.tables).map(\.description) ?? [])
        let found = OtherFirewalls(environment.facts).findings().filter { !left.contains($0.name) }
        let findings = found.map { found -> Finding in
            let detail = "\(found.state.rawValue). \(found.meaning)"
            switch found.role {
            case .rival where !found.isInTheWay: return .ok(found.name, "installed, not active")
            case .rival: return .found(.warning, found.name, detail, remedy: found.remedy)
            case .neighbour: return .found(.note, found.name, detail, remedy: found.remedy)
            case .keeper: return .ok(found.name, detail)
            }
        }
        let rest = leftovers.map { leftovers in
            leftovers.all.map { leftover -> Finding in
                .found(
                    .warning, leftover.owner, "only leftovers. \(LeftoverRules.meaning)",
                    remedy: leftovers.remedy(leftover))
            }
        }
        let all = (rest ?? []) + findings + tables
        return all.isEmpty ? [.ok("firewalls", "no other firewall program")] : all
    }

    /// The rules that inactive managers have left; nil if the rules cannot be read.
    private func leftovers(_ options: BackendOptions) async -> LeftoverRules? {
        guard isRoot, let chosen = try? await backend(options),
            let live = try? await LiveFirewall(chosen, in: environment)
        else { return nil }
        return LeftoverRules(live, environment.facts, backend: chosen)
    }

    /// The tables of nf_tables that decide about incoming packets besides latchkey's rules: "accept" in one is not final,
    /// "drop" is.
    private func otherTables(_ chosen: Backend?, besides named: [String]) async -> [Finding] {
        let chains = await NFTables(toolbox: toolbox, runner: environment.runner)?.inputChains() ?? []
        let own = (try? Persistence(environment).lastKept()?.nftTables.map(\.id.description)) ?? []
        let others = chains.filter { chain in
            // iptables-nft's tables hold latchkey's own rules, unless those are in nftables.
            ![NFTable.Name.latchkey, TemporaryParts.observedTable].map(\.description).contains(chain.tableTitle)
                && !(own + named).contains(chain.tableTitle)
                && !(chain.isOfIPTables && (chosen != .nftables || chain.policy == "accept"))
        }
        var seen: Set<String> = []
        return others.filter { seen.insert($0.tableTitle).inserted }.map { chain in
            let owner = chain.owner.map { " (\($0))" } ?? ""
            return .found(
                .warning, "nft table",
                "\(chain.tableTitle)\(owner), chain \(chain.chain), also filters incoming packets: what it drops stays "
                    + "closed, whatever latchkey allows.",
                remedy: "Check it: nft list table \(chain.tableTitle)")
        }
    }

    // MARK: - Rehearsal

    /// Opens a throwaway network, and loads one rule of every kind that latchkey writes there.
    func rehearsal(_ options: BackendOptions) async -> [Finding] {
        let stage: Stage
        do {
            let binary = try OwnProgram.path()
            stage = try await Stage.open(agent: [binary, "probe-agent"], tools: try StageTools(toolbox))
        } catch let error as StageError {
            return [
                .found(
                    .warning, "rehearsal", error.description,
                    remedy: StageRemedy.text)
            ]
        } catch {
            return [.found(.warning, "rehearsal", "\(error)", remedy: "Install iproute2 and util-linux.")]
        }
        defer { stage.close() }
        var findings = [Finding.ok("rehearsal", "throwaway networks can be made here")]
        guard let chosen = try? await backend(options) else { return findings }
        if chosen == .nftables {
            findings.append(await tableSample(on: stage))
            return findings
        }
        var refused: [String] = []
        var withoutRecent = false
        var known = 0
        for rule in SampleRule.all(environment.families) {
            guard
                let tools = try? await IPTables(
                    backend: chosen, family: rule.family, toolbox: toolbox, runner: environment.runner)
            else { continue }
            let command = Command(tools.main, ["-w", "5", "-A", "INPUT"] + rule.words)
            let result = try? await environment.runner.run(stage.enter(command))
            if result?.status == 0 {
                known += 1
            } else if rule.purpose == SampleRule.recent {
                withoutRecent = true
            } else {
                refused.append("\(rule.family.rawValue) \(rule.purpose)")
            }
        }
        if refused.isEmpty {
            findings.append(.ok("kernel", "supports all \(known) kinds of rule that latchkey writes"))
        } else {
            findings.append(
                .found(
                    .missing, "kernel", "does not support rules for: \(refused.joined(separator: ", "))",
                    remedy: "Install the kernel's extra netfilter modules (linux-modules-extra, kernel-modules-extra).")
            )
        }
        findings.append(gate(withoutRecent: withoutRecent))
        return findings
    }

    /// Loads a table with one rule of every kind that latchkey writes.
    private func tableSample(on stage: Stage) async -> Finding {
        guard let kernel = try? LiveTables(toolbox: toolbox, runner: StageRunner(stage, runner: environment.runner))
        else { return .found(.missing, "nft", "not installed", remedy: "apt-get install nftables") }
        do {
            try await kernel.load(SampleTable.text)
            return .ok("kernel", "supports all kinds of rule that latchkey writes, and ends a trial by itself")
        } catch {
            return .found(
                .missing, "kernel", "does not load latchkey's kinds of rule: \(error)",
                remedy: "Install the kernel's extra netfilter modules (linux-modules-extra, kernel-modules-extra).")
        }
    }

    /// What ends a trial if all of latchkey's processes die.
    private func gate(withoutRecent: Bool) -> Finding {
        if !withoutRecent {
            return .ok("trial", "the kernel ends it by itself, with the \"recent\" match (xt_recent)")
        }
        if toolbox.find("ipset") != nil {
            return .ok("trial", "the kernel ends it by itself, with an ipset (this kernel lacks xt_recent)")
        }
        return .found(
            .warning, "trial",
            "This kernel lacks the \"recent\" match (xt_recent), and ipset is not installed: only latchkey's guard can "
                + "end a trial, not the kernel.", remedy: "Install ipset (Debian: apt-get install ipset).")
    }

    // MARK: - Guard and boot

    var supervision: Finding {
        guard SystemFacts(environment.facts).isSystemd else {
            return .ok("supervision", "by a latchkey process, because there is no systemd")
        }
        // Only root may compare its namespaces with those of PID 1.
        if isRoot, !ServiceManager.reachesThisPlace {
            return Self.unsupervised("systemd is not in this namespace", remedy: "Run latchkey outside it.")
        }
        guard toolbox.find("systemd-run") != nil else {
            return Self.unsupervised("systemd-run is missing", remedy: "Install it (Debian: apt-get install systemd).")
        }
        return .ok("supervision", "by systemd: the guard survives logouts, and is restarted if it dies")
    }

    private static func unsupervised(_ reason: String, remedy: String) -> Finding {
        .found(
            .warning, "supervision",
            "By a latchkey process, because \(reason): with KillUserProcesses=yes, logind kills it at logout, and "
                + "the kernel then rolls back within 20 s.", remedy: remedy)
    }

    func persistence(_ options: BackendOptions) async -> Finding {
        let used = (try? await backend(options)) ?? .nft
        if let loader = BootLoader(used, in: environment) { return .ok("boot", loader.clause) }
        return used == .nftables
            ? .found(
                .warning, "boot", "Nothing loads nftables at boot: kept rules are active only until reboot.",
                remedy: "Without systemd and OpenRC, use iptables with netfilter-persistent (--backend nft).")
            : .found(
                .warning, "boot", "Nothing loads rules at boot: kept rules are active only until reboot.",
                remedy: "Install netfilter-persistent (Debian: apt-get install iptables-persistent).")
    }
}

/// A table of nftables with each kernel feature that latchkey's rules use.
private enum SampleTable {
    static let text = """
        table inet latchkey-doctor {
            set trial { type ether_type; flags timeout; }
            set addresses { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
            chain trial { counter drop; }
            chain input {
                type filter hook input priority filter; policy accept;
                meta protocol @trial goto trial
                ct state established,related counter accept comment "latchkey: doctor"
                meta l4proto . th dport { tcp . 22, udp . 60000-61000 } accept
                ip saddr . meta l4proto . th dport { 192.0.2.0/24 . tcp . 25 } accept
                ip saddr @addresses accept
                icmpv6 type { nd-router-solicit, nd-neighbor-solicit } ip6 hoplimit 255 accept
                limit rate 5/minute burst 10 packets log prefix "latchkey drop: "
            }
        }

        """
}

/// One rule for each kernel feature that latchkey's rules use.
private struct SampleRule {
    let family: Family
    let purpose: String
    let words: [String]

    static let recent = "trials"

    static func all(_ families: [Family]) -> [SampleRule] {
        families.flatMap { family in
            let icmp =
                family == .ipv4
                ? ["-p", "icmp", "--icmp-type", "echo-request"]
                : ["-p", "ipv6-icmp", "--icmpv6-type", "133", "-m", "hl", "--hl-eq", "255"]
            let common: [(String, [String])] = [
                ("comments", ["-m", "comment", "--comment", "latchkey: doctor"]),
                ("replies", ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]),
                ("ports", ["-p", "tcp", "-m", "multiport", "--dports", "80,443,6000:6010"]), ("pings", icmp),
                ("rates", ["-m", "limit", "--limit", "5/min", "--limit-burst", "10"]),
                (
                    recent,
                    [
                        "-m", "recent", "--rcheck", "--seconds", "10", "--name", "latchkey-doctor", "--mask",
                        family == .ipv4 ? "0.0.0.0" : "::",
                    ]
                ),
            ]
            let accepted = common.map {
                SampleRule(family: family, purpose: $0.0, words: $0.1 + ["-j", "ACCEPT"])
            }
            let log = ["-j", "LOG", "--log-prefix", "latchkey drop: "]
            return accepted + [SampleRule(family: family, purpose: "logging", words: log)]
        }
    }
}

extension SSHPorts.Source {
    /// Where a port was found, in a word or two.
    fileprivate var words: String {
        switch self {
        case .configuration: "sshd -T"
        case .configurationFile(let file): file
        case .socketUnit(let file): SecureFiles.name(of: file)
        case .listener: "listening"
        }
    }
}
