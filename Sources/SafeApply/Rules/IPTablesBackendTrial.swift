import Host
import Logging
import Netfilter

/// Loads, checks and removes the trial.
extension IPTablesBackend {
    mutating func loadTrial(again: Bool) async throws(ChangeError) {
        try await makeSets()
        var trouble: ChangeError?
        let first = gateKind
        for kind in [gateKind] + Self.weaker(than: gateKind) {
            // Such a service would save the trial at a shutdown. Behind a gate of another kind, its file would not be
            // loaded at boot, or the trial would be active without a guard.
            if kind != .recent, !isElsewhere, BootLoader.savesActiveRules(in: environment) {
                throw trouble ?? .refused(reason: Self.savedAtShutdown)
            }
            setGate(kind)
            do {
                try await loadOnce(again: again || kind != first)
                if isElsewhere { try await openByPrograms() }
                if isElsewhere || isGateUsable { return }
                log.warning("A gate of the kind \(kind.rawValue) cannot be opened here; trying another kind.")
            } catch {
                // The first error counts: a bad rule is refused with every kind of gate.
                if case .host(.xtablesLocked) = error { throw error }
                trouble = trouble ?? error
                log.warning("The trial could not be loaded behind a gate of the kind \(kind.rawValue): \(error)")
            }
        }
        throw trouble ?? .refused(reason: "The trial could not be loaded.")
    }

    private static let savedAtShutdown =
        "This kernel has no usable match \"recent\", and the service iptables saves the active rules at each shutdown: "
        + "a reboot could activate rules that were not kept. Set SAVE_ON_STOP=\"no\" in /etc/conf.d/iptables and "
        + "/etc/conf.d/ip6tables, and apply again."

    /// Whether this process may open and close the gates that are loaded.
    private var isGateUsable: Bool {
        switch gateKind {
        case .recent: RecentGates(trials, folder: environment.recentFolder).areWritable
        case .set: (try? gates.close()) != nil
        case .timeout, .none: true
        }
    }

    /// Opens the gates in the network namespace of the rules.
    private func openByPrograms() async throws(ChangeError) {
        for family in gatedFamilies {
            let gate = Gate(gateKind, family, seconds: gateSeconds)
            try await ChangeError.wrap { () async throws(HostError) in
                switch gateKind {
                case .recent:
                    let lists = (trials[family]?.tables ?? []).flatMap { table in
                        table.gates.map { gate.listName(table: table.name, chain: $0.rule.chain) }
                    }
                    let command = Command(
                        try toolbox.need("tee"), lists.map { "\(RecentList.folder)/\($0)" },
                        input: Array("+\(gate.anyAddress)".utf8))
                    _ = try await kernel.runner.check(command)
                case .set:
                    let lines = gate.halves.map { "add \(gate.name) \($0) timeout \(gate.seconds)\n" }
                    try await kernel.sets?.restoreMissing(lines.joined())
                case .timeout, .none: break
                }
            }
        }
    }

    private static func weaker(than kind: GateKind) -> [GateKind] {
        switch kind {
        case .recent: [.set, .none]
        case .set: [.none]
        case .timeout, .none: []
        }
    }

    /// Loads the trial behind gates of the present kind.
    ///
    /// - Parameter again: whether a part of it may already be loaded.
    /// - Throws: if it is not complete.
    private func loadOnce(again: Bool) async throws(ChangeError) {
        if gateKind == .set {
            guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
            let lines = gatedFamilies.compactMap { Gate(.set, $0, seconds: gateSeconds).setLine }.joined()
            try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(lines) }
        }
        let (before, active) = (previous, active)
        let loaded = try await kernel.eachFamily(gatedFamilies) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            let known = again ? try await kernel.read(family) : active[family] ?? before[family] ?? RuleSet()
            return try await load(trial, over: known, family)
        }
        guard loaded.present.allSatisfy({ $0.value }) else {
            throw .refused(reason: "The kernel did not load the rules correctly.")
        }
    }

    /// Loads a trial and reads it back.
    ///
    /// - Parameters:
    ///   - trial: the trial.
    ///   - before: the rules as last read; read again if the tool refuses the first attempt.
    ///   - family: the rules' family.
    /// - Returns: whether it is complete.
    /// - Throws: if the tool does not accept it, or the rules cannot be read.
    private func load(_ trial: Trial, over before: RuleSet, _ family: Family) async throws(ChangeError) -> Bool {
        var live = before
        for attempt in 1...Self.loads {
            do throws(ChangeError) { try await kernel.load(trial.loading(over: live), family) } catch {
                guard attempt == 1, case .host(.rulesRefused) = error else { throw error }
            }
            live = try await kernel.reread(trial.places, of: before, family)
            if trial.isComplete(in: live) { return true }
        }
        return false
    }

    func isTrialWhole() async throws(ChangeError) -> Bool {
        let whole = try await kernel.eachFamily(gatedFamilies) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            let live = try await kernel.reread(trial.places, of: previous[family] ?? RuleSet(), family)
            try LiveRules.requireReadable(live, family, tables: trial.tables.map(\.name), allChains: false)
            return trial.isComplete(in: live)
        }
        return whole.present.allSatisfy { $0.value }
    }

    func removeTrial() async throws(ChangeError) {
        _ = try await kernel.eachFamily(plan.present.map(\.family)) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            try await remove(trial, family)
            let made = trial.tables.map(\.name).filter { previous[family]?[$0] == nil }
            await kernel.removeEmptyTables(made, family)
            return true
        }
        if gateKind == .set { await kernel.sets?.remove(gatedFamilies.map { Gate(.set, $0).name }) }
        await removeMadeSets()
    }

    private func remove(_ trial: Trial, _ family: Family) async throws(ChangeError) {
        if isPreviousKnown, (try? await kernel.load(trial.removing, family)) != nil { return }
        // A part of it is missing, or its form is unknown: read the rules.
        guard let live = try? await kernel.read(family), live.unreadableTables.isEmpty else {
            return try await removeByHandle(trial, family)
        }
        if let input = Trial.removing(from: live, trial: trial) { try await kernel.load(input, family) }
    }

    /// Removes the trial with nft, if iptables no longer changes the table.
    private func removeByHandle(_ trial: Trial, _ family: Family) async throws(ChangeError) {
        guard let nft = kernel.nft, kernel.tools[family]?.backend == .nft else {
            throw .unreadable(family: family, tables: trial.tables.map(\.name), reason: "iptables cannot print it.")
        }
        let place = family == .ipv4 ? "ip" : "ip6"
        var lines: [String] = []
        for table in trial.tables {
            let listing = try await ChangeError.wrap { () async throws(HostError) in
                try await kernel.runner.check(Command(nft, ["-a", "list", "table", place, table.name]))
            }
            lines += Self.deletions(in: listing.text, place: "\(place) \(table.name)", chains: Set(table.chains))
        }
        guard !lines.isEmpty else { return }
        let input = Array(lines.map { "\($0)\n" }.joined().utf8)
        try await ChangeError.wrap { () async throws(HostError) in
            _ = try await kernel.runner.check(Command(nft, ["-f", "-"], input: input))
        }
    }

    /// The nft commands that delete the gates and the chains they lead to.
    ///
    /// - Parameters:
    ///   - listing: what `nft -a list table` prints.
    ///   - place: the family and name of the table.
    ///   - chains: the trial's chains.
    /// - Returns: one command a line.
    static func deletions(in listing: String, place: String, chains: Set<String>) -> [String] {
        var rules: [String] = []
        var found: [String] = []
        var chain = ""
        for line in listing.split(separator: "\n") {
            if line.hasPrefix("\tchain ") {
                chain = String(line.dropFirst("\tchain ".count).prefix { $0 != " " })
                if chains.contains(chain) { found.append(chain) }
            } else if line.hasPrefix("\t\t"), leads(line, chains), let handle = line.split(separator: " ").last {
                rules.append("delete rule \(place) \(chain) handle \(handle)")
            }
        }
        return rules + found.map { "flush chain \(place) \($0)" } + found.map { "delete chain \(place) \($0)" }
    }

    /// Whether a line of nft is a gate, by its comment or by the chain that it goes to.
    private static func leads(_ line: Substring, _ chains: Set<String>) -> Bool {
        let words = line.split(separator: " ")
        return line.contains("\"\(Gate.comment)\"")
            || zip(words, words.dropFirst()).contains { $0.0 == "goto" && chains.contains(String($0.1)) }
    }
}
