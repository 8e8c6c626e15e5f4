import FoundationEssentials
import Host
import Netfilter

/// The observation of a plan: its rules count and log what they would drop, and drop nothing.
///
/// It is no change: the rules that decide stay as they are. It ends with the next change that is kept, and at a reboot.
package struct Observation: Sendable {
    /// What is observed.
    package struct Record: Codable, Sendable, Equatable {
        /// The backend of its rules.
        package let backend: Backend
        /// The answers, as a file.
        package let answers: String
        /// When it began, in seconds since the beginning of 1970.
        package let since: Int64
    }

    private let environment: ChangeEnvironment

    /// The observation on a machine.
    package init(_ environment: ChangeEnvironment) { self.environment = environment }

    private var path: String { environment.layout.observation }

    /// What is observed now; nil if nothing is.
    package func current() -> Record? {
        guard let bytes = try? SecureFiles.read(path) else { return nil }
        return try? JSONDecoder().decode(Record.self, from: Data(bytes))
    }

    /// Loads a plan's rules for observation, instead of those that are observed now.
    ///
    /// - Parameters:
    ///   - rules: the rules of each family, for iptables.
    ///   - tables: the table, for nftables.
    ///   - sets: commands for `ipset restore` that create the sets of the rules.
    ///   - backend: the backend.
    ///   - answers: the answers, as a file.
    /// - Throws: if the rules cannot be loaded; nothing is observed then.
    package func begin(
        _ rules: PerFamily<RuleSet>, tables: [NFTable], sets: String, with backend: Backend, answers: String
    ) async throws(ChangeError) {
        try await end()
        let record = Record(backend: backend, answers: answers, since: environment.clock.date())
        do throws(ChangeError) {
            // First: if this process is killed, "apply --stop-observing" still removes what it loaded.
            try ChangeError.wrap { () throws(HostError) in
                try SecureFiles.makeFolder(environment.layout.run, mode: 0o700)
                try SecureFiles.write(Self.bytes(record), to: path, mode: 0o600)
            }
            if backend == .nftables {
                let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
                let table = tables.first { $0.id == .latchkey }.map(ObservedRules.table)
                try await kernel.load(table?.text ?? "")
            } else {
                let kernel = try await liveRules(backend)
                try await ChangeError.wrap { () async throws(HostError) in try await kernel.sets?.restoreMissing(sets) }
                for (family, plan) in rules.present {
                    let text = ObservedRules.loading(plan, over: try await kernel.read(family))
                    try await kernel.load(RestoreInput(text: text, flush: false, counters: false), family)
                }
            }
        } catch {
            try? await remove(with: backend)
            try? SecureFiles.remove(path)
            throw error
        }
    }

    /// Ends the observation.
    ///
    /// - Returns: what was observed; nil if nothing was.
    /// - Throws: if its rules cannot be removed; it goes on then.
    @discardableResult
    package func end() async throws(ChangeError) -> Record? {
        guard let record = current() else { return nil }
        try await remove(with: record.backend)
        try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(path) }
        return record
    }

    /// How many packets the observed rules would have dropped.
    ///
    /// - Returns: nil if the rules are no longer there, or cannot be read.
    package func dropped() async -> UInt64? {
        guard let record = current() else { return nil }
        if record.backend == .nftables {
            let kernel = try? LiveTables(toolbox: environment.toolbox, runner: environment.runner)
            return try? await kernel?.listWithCounters(TemporaryParts.observedTable).map(ObservedRules.dropped(in:))
        }
        guard let kernel = try? await liveRules(record.backend) else { return nil }
        var total: UInt64 = 0
        for (family, _) in kernel.tools.present {
            guard let live = try? await kernel.read(family),
                live["filter"]?.rules(in: "INPUT").contains(where: { $0.jumpsTo == TemporaryParts.observedChain })
                    == true
            else { return nil }
            total += ObservedRules.dropped(in: live)
        }
        return total
    }

    private func remove(with backend: Backend) async throws(ChangeError) {
        guard backend != .nftables else {
            let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
            // Made first, so that it can be deleted in any case.
            let id = TemporaryParts.observedTable
            return try await kernel.load("table \(id) {\n}\ndelete table \(id)\n")
        }
        let kernel = try await liveRules(backend)
        for (family, _) in kernel.tools.present {
            let live = try await kernel.read(family)
            let text = ObservedRules.removal(from: live)
            try await kernel.load(RestoreInput(text: text, flush: false, counters: false), family)
            // Those that other rules name stay.
            let sets = Set((live["filter"]?.rules(in: TemporaryParts.observedChain) ?? []).flatMap(NamedSets.names))
            await kernel.sets?.remove(sets.filter { $0.hasPrefix(NamedSets.ownPrefix) }.sorted())
        }
    }

    private func liveRules(_ backend: Backend) async throws(ChangeError) -> LiveRules {
        try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox, runner: environment.runner)
    }

    private static func bytes(_ record: Record) -> [UInt8] { (try? JSONEncoder().encode(record)).map(Array.init) ?? [] }
}
