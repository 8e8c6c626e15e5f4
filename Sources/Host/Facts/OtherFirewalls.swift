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
        let running = runningPrograms()
        let units = SystemdUnits(source)
        return Self.known.compactMap { known -> FirewallFinding? in
            if let program = known.program, !source.exists(program) { return nil }
            var state: FirewallFinding.State
            if known.processes.contains(where: { name in running.contains { $0.hasPrefix(name) } }) {
                state = .running
            } else if known.units.contains(where: units.isEnabled) || known.settings.contains(where: isSet) {
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
            return finding(known, state, units)
        }
    }

    /// The rivals that would sooner or later undo, bypass or close what is kept.
    package func inTheWay() -> [FirewallFinding] { findings().filter(\.isInTheWay) }

    /// The names of the processes of known programs.
    ///
    /// A program in another network namespace, such as a container's, does not change the rules of this one.
    private func runningPrograms() -> Set<String> {
        let processes = ProcessTable(source)
        let own = processes.networkNamespace(of: OwnProcess.pid)
        let found = processes.all(named: Self.known.flatMap(\.processes)).filter { process in
            guard process.state != "Z" else { return false }
            guard let own, let other = processes.networkNamespace(of: process.pid) else { return true }
            return own == other
        }
        return Set(found.map(\.name))
    }

    private func finding(
        _ known: KnownFirewall, _ state: FirewallFinding.State, _ units: SystemdUnits
    ) -> FirewallFinding {
        let isHarmless = known.ruleFile.map(closesNothing) ?? false
        let role = isHarmless ? .neighbour : known.role
        let control =
            role == .rival
            ? known.control ?? ManagerControl(known.name, units: known.units.filter(units.isInstalled)) : nil
        return FirewallFinding(
            name: known.name, state: state, role: role, meaning: known.meaning,
            remedy: state == .installed && role == .rival || isHarmless ? "Nothing to do." : known.remedy,
            control: control, ruleFile: known.ruleFile)
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
