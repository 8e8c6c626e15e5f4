/// Another program that changes this machine's firewall rules.
package struct FirewallFinding: Sendable, Equatable {
    /// Whether it is installed, enabled or running.
    package enum State: String, Sendable, Comparable {
        /// Installed.
        case installed
        /// It starts at boot.
        case enabled
        /// It runs now.
        case running

        /// Installed before enabled, enabled before running.
        package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

        private var rank: Int {
            switch self {
            case .installed: 0
            case .enabled: 1
            case .running: 2
            }
        }
    }

    /// Its relation to latchkey.
    package enum Role: String, Sendable {
        /// It writes the same chains, so that only one of the two can be used.
        case rival
        /// It has its own chains, which `existing: keep` does not change.
        case neighbour
        /// It loads saved rules at boot, and latchkey saves kept rules for it.
        case keeper
    }

    /// The program's name.
    package let name: String
    package let state: State
    package let role: Role
    /// What it means for latchkey, one sentence.
    package let meaning: String
    /// What to do, one sentence.
    package let remedy: String
    /// How a rival is stopped for good; nil for other programs.
    package var control: ManagerControl?
    /// The nft file with the rules that it loads; nil if it makes its rules otherwise.
    package var ruleFile: String?

    /// Whether it would sooner or later undo, bypass or close what is kept.
    package var isInTheWay: Bool { role == .rival && state != .installed }
}

/// Finds the other firewall programs, from files and processes alone.
package struct OtherFirewalls: Sendable {
    private let source: FactSource

    package init(_ source: FactSource = FactSource()) { self.source = source }

    /// All findings, rivals first, then neighbours and keepers, by name; neighbours that are only installed are not
    /// included.
    package func findings() -> [FirewallFinding] {
        let running = ProcessTable(source).all(named: Self.known.flatMap(\.processes)).filter { $0.state != "Z" }
        return Self.known.compactMap { known -> FirewallFinding? in
            if let program = known.program, !source.exists(program) { return nil }
            var state: FirewallFinding.State
            if known.processes.contains(where: { name in running.contains { isHere($0, named: name) } })
                || known.showsByUnits && known.units.contains(where: isActive)
            {
                state = .running
            } else if known.units.contains(where: isEnabled) || isSetToStart(known) || !policies(of: known).isEmpty {
                state = .enabled
            } else if known.files.contains(where: source.exists) {
                state = .installed
            } else {
                return nil
            }
            // A file that marks the program as disabled.
            if state == .enabled, known.offSwitches.contains(where: source.exists) { state = .installed }
            // Debian's nftables installs a file with rules that nothing loads.
            if state == .installed, known.ruleFile != nil { return nil }
            return finding(known, state)
        }
    }

    /// The rivals that would sooner or later undo, bypass or close what is kept.
    package func inTheWay() -> [FirewallFinding] { findings().filter(\.isInTheWay) }

    private func finding(_ known: KnownFirewall, _ state: FirewallFinding.State) -> FirewallFinding {
        let ruleFile = ruleFile(of: known)
        let isHarmless = ruleFile.map(closesNothing) ?? false
        let role = isHarmless ? .neighbour : known.role
        return FirewallFinding(
            name: known.name, state: state, role: role, meaning: known.meaning,
            remedy: state == .installed && role == .rival || isHarmless ? "Nothing to do." : remedy(known),
            control: role == .rival ? control(known) : nil, ruleFile: ruleFile)
    }

    /// Whether a process has a name and works in this network: one in a container has rules of its own.
    private func isHere(_ process: ProcessFacts, named name: String) -> Bool {
        guard process.name.hasPrefix(name) else { return false }
        let processes = ProcessTable(source)
        guard let its = processes.networkNamespace(of: process.pid),
            let own = processes.networkNamespace(of: OwnProcess.pid)
        else { return true }
        return its == own
    }

    // MARK: - Services, of systemd or OpenRC

    private var units: SystemdUnits { SystemdUnits(source) }
    private var services: OpenRCServices { OpenRCServices(source) }
    private var isOpenRC: Bool { services.isInstalled && !SystemFacts(source).isSystemd }

    /// OpenRC's name of a service that systemd has a unit for.
    private func service(_ unit: String) -> String { String(unit.prefix { $0 != "." }) }

    private func isEnabled(_ unit: String) -> Bool {
        isOpenRC ? !services.levels(of: service(unit)).isEmpty : units.isEnabled(unit)
    }

    private func isActive(_ unit: String) -> Bool {
        isOpenRC ? services.isStarted(service(unit)) : units.isActive(unit)
    }

    private func isInstalled(_ unit: String) -> Bool {
        isOpenRC ? source.resolves("/etc/init.d/\(service(unit))") : units.isInstalled(unit)
    }

    /// Whether a settings file has a program start at boot.
    ///
    /// Under systemd and OpenRC, only its services do that, if it has any. A package that was removed leaves its settings.
    private func isSetToStart(_ known: KnownFirewall) -> Bool {
        known.files.contains(where: source.exists)
            && (known.units.isEmpty || !SystemFacts(source).isSystemd && !isOpenRC)
            && known.settings.contains(where: isSet)
    }

    /// The names of a manager's active policies.
    private func policies(of known: KnownFirewall) -> [String] {
        known.policies.map { folder in
            source.names(in: folder).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
        } ?? []
    }

    // MARK: - What to do

    /// How a rival is stopped for good; nil if latchkey cannot do that.
    private func control(_ known: KnownFirewall) -> ManagerControl? {
        guard known.policies == nil else { return nil }
        // ufw's and csf's own programs do it everywhere.
        if let control = known.control, known.ruleFile == nil || !isOpenRC { return control }
        let installed = known.units.filter(isInstalled)
        let used = installed.filter { isEnabled($0) || isActive($0) }
        let named = used.isEmpty ? installed : used
        let clearing = known.clearing.filter { named.contains($0.unit) }.map(\.command)
        guard isOpenRC else {
            return ManagerControl(
                known.name, units: named, companions: known.companions.filter(units.isEnabled), clearing: clearing)
        }
        return ManagerControl(
            known.name, services: named.map(service).map { ($0, services.levels(of: $0)) }, clearing: clearing,
            // Stopping nftables would remove all rules of all programs.
            areStopped: known.ruleFile == nil)
    }

    private func remedy(_ known: KnownFirewall) -> String {
        let policies = policies(of: known)
        guard !policies.isEmpty else { return known.remedy }
        return
            "latchkey cannot take over from \(known.name). To switch: sudo \(known.name) disable "
            + "\(policies.joined(separator: " ")) (its rules stay active), and apply answers with \"existing: replace\"."
    }

    /// The nft file that a manager loads.
    private func ruleFile(of known: KnownFirewall) -> String? {
        guard let file = known.ruleFile, isOpenRC else { return known.ruleFile }
        // Alpine's service, and Gentoo's.
        return services.setting("rules_file", of: known.name) ?? services.setting("NFTABLES_SAVE", of: known.name)
            ?? [file, "/etc/nftables.nft"].first(where: source.exists)
    }

    /// Whether a file for nft exists and contains nothing that drops packets.
    private func closesNothing(_ path: String) -> Bool {
        guard let lines = source.lines(path) else { return false }
        let words = lines.flatMap { $0.prefix { $0 != "#" }.split { !$0.isLetter } }
        return !words.contains { ["drop", "reject", "include"].contains($0) }
    }

    private func isSet(_ setting: KnownFirewall.Setting) -> Bool {
        source.assignment(to: setting.key, in: setting.file)?.lowercased() == setting.value
    }
}
