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
        let open = ReachableListeners.reachable(SocketTable(environment.facts), environment.facts)
        let names = open.map { "\($0.program ?? "unknown") \($0.port)/\($0.transport)" }
        return .ok(
            "listening", names.isEmpty ? "no program that other machines can reach" : names.joined(separator: ", "))
    }

    // MARK: - Other firewalls

    func firewalls() async -> [Finding] {
        let nft = NFTables(toolbox: toolbox, runner: environment.runner)
        let tables = (await nft?.judgingInput() ?? []).map { table in
            Finding.found(
                .warning, "nft table", "\(table) also filters incoming packets: a packet must pass it and iptables.",
                remedy: "Check it: nft list table \(table)")
        }
        let findings = OtherFirewalls(environment.facts).findings().map { found -> Finding in
            let detail = "\(found.state.rawValue). \(found.meaning)"
            switch found.role {
            case .rival: return .found(.warning, found.name, detail, remedy: found.remedy)
            case .neighbour: return .found(.note, found.name, detail, remedy: found.remedy)
            case .keeper: return .ok(found.name, detail)
            }
        }
        return findings.isEmpty && tables.isEmpty ? [.ok("firewalls", "no other firewall program")] : findings + tables
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

    var persistence: Finding {
        switch BootLoader(environment) {
        case .netfilterPersistent: .ok("boot", "netfilter-persistent loads /etc/iptables/rules.v4 and rules.v6")
        case .iptablesServices: .ok("boot", "iptables-services loads /etc/sysconfig/iptables and ip6tables")
        case .ownUnit: .ok("boot", "latchkey-restore.service loads kept rules; the first kept change creates it")
        case nil:
            .found(
                .warning, "boot", "Nothing loads rules at boot: kept rules are active only until reboot.",
                remedy: "Install netfilter-persistent (Debian: apt-get install iptables-persistent).")
        }
    }
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
