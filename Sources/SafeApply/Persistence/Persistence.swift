import Host
import Netfilter

/// The rules that should be active: those of the last kept change and, for other tables, of earlier kept changes.
package struct KeptRules: Codable, Sendable, Equatable {
    /// The ID of the last kept change.
    package var id: String
    /// The rules in iptables-save format, of each table only the part that is latchkey's; see `SavedRules`.
    package var rules: PerFamily<String>
    /// The tables of nftables, as nft lists them; nil for iptables.
    package var tables: String?
    /// Which backend holds them.
    package var backend: Backend
    /// The other firewall managers that this change or an earlier one took over; nil for none.
    package var takenOver: [ManagerControl]?
    /// After a restore: which of the rules latchkey had made, for what is whole may be other programs' too; otherwise nil.
    package var ownRules: PerFamily<String>?
    /// The same for the tables of nftables.
    package var ownTables: String?

    /// The parsed tables of nftables; none for iptables.
    package var nftTables: [NFTable] { (try? NFTable.tables(in: tables ?? "").map(\.withElementsInLines)) ?? [] }
}

/// Saves a kept change: the answers, a record, and the rules for boot.
package struct Persistence: Sendable {
    private let environment: ChangeEnvironment
    private var layout: Layout { environment.layout }

    /// The persistence of a machine.
    package init(_ environment: ChangeEnvironment) { self.environment = environment }

    /// The last kept change, or nil.
    ///
    /// - Throws: `damaged` and `host`.
    package func lastKept() throws(ChangeError) -> KeptRules? { try Self.lastKept(layout) }

    static func lastKept(_ layout: Layout) throws(ChangeError) -> KeptRules? {
        let path = layout.kept
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let kept = JSONText.decode(KeptRules.self, from: bytes) else {
            throw .damaged(path: path, reason: "it is not a record from this version of latchkey")
        }
        return kept
    }

    /// Saves everything of a kept change.
    ///
    /// It is idempotent: a guard may die in the middle, and the next one repeats it.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - plan: its rules.
    ///   - isEarly: whether its rules are not permanent yet, so that nothing may load them now.
    /// - Returns: the files with the rules for boot, and notes for a person.
    /// - Throws: `host`, `badRules`; the active rules are not changed.
    func save(
        _ request: ChangeRequest, _ plan: PlannedRules, isEarly: Bool = false
    ) async throws(ChangeError) -> BootFiles.Saved {
        if request.scope == .removal { return try await remove(request, plan) }
        var kept = PerFamily<RuleSet>()
        for (family, plan) in plan.rules.present { kept[family] = SavedRules.kept(plan, scope: request.scope) }
        let record = request.restores.map { $0.record(request, plan) } ?? record(request, kept, plan.tables)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(layout.state)
            try SecureFiles.write(Array(JSONText.encode(record).utf8), to: layout.kept)
            if let answers = request.answers {
                try SecureFiles.makeFolder(SecureFiles.folder(of: answers.path), mode: 0o755)
                let moment = UTCTime(secondsSince1970: environment.clock.date()).iso8601.replacing("T", with: " ")
                // A YAML comment: the only file saved this way is the answers file.
                let heading = "# Kept \(moment) UTC, change \(request.id).\n"
                try SecureFiles.write(Array((heading + answers.text).utf8), to: answers.path)
            }
        }
        guard request.persists else { return BootFiles.Saved() }
        let bootFiles = BootFiles(environment)
        if let restores = request.restores {
            return try await bootFiles.putBack(restores.saved.files)
        }
        var saved =
            request.backend == .nftables
            ? try await bootFiles.save(
                record.nftTables, sshPorts: request.sshPorts, retiring: request.retirement, startsUnit: !isEarly)
            : try await bootFiles.save(kept, backend: request.backend, sshPorts: request.sshPorts)
        if request.answers == nil, SecureFiles.exists(layout.answers) {
            saved.notes.append(
                "\(layout.answers) contains the answers of an earlier change, not these rules. \"plan\" and \"apply\" "
                    + "still read it unless you name another file.")
        }
        return saved
    }

    /// The record with this change added; rules of the other backends are no longer checked for drift.
    private func record(_ request: ChangeRequest, _ kept: PerFamily<RuleSet>, _ tables: [NFTable]) -> KeptRules {
        var rules = PerFamily<String>()
        let last = try? lastKept()
        let earlier = last.flatMap { $0.backend == request.backend ? $0 : nil }
        if let earlier { rules = earlier.rules }
        let takenOver = TakeOver.managers(request.takeOver, besides: last?.takenOver)
        if request.backend == .nftables {
            let others = (earlier?.nftTables ?? []).filter { table in !tables.contains { $0.id == table.id } }
            let all = others + tables.filter { !$0.parts.isEmpty }
            var record = KeptRules(
                id: request.id, rules: PerFamily(), tables: all.map(\.compactText).joined(), backend: request.backend,
                takenOver: takenOver)
            if let own = earlier?.ownTables.flatMap({ try? NFTable.tables(in: $0) }) {
                let others = own.filter { table in !tables.contains { $0.id == table.id } }
                record.ownTables = (others + tables.filter { !$0.parts.isEmpty }).map(\.compactText).joined()
            }
            return record
        }
        for (family, kept) in kept.present {
            let earlier = rules[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            rules[family] = SavedRules.recorded(kept, over: earlier ?? RuleSet()).text
        }
        var record = KeptRules(id: request.id, rules: rules, backend: request.backend, takenOver: takenOver)
        if var own = earlier?.ownRules {
            for (family, kept) in kept.present {
                let earlier = own[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
                own[family] = SavedRules.recorded(kept, over: earlier ?? RuleSet()).text
            }
            record.ownRules = own
        }
        return record
    }

    /// Removes everything that would be loaded at boot, and then the record.
    ///
    /// It is idempotent, as `save` is. The answers stay.
    private func remove(_ request: ChangeRequest, _ plan: PlannedRules) async throws(ChangeError) -> BootFiles.Saved {
        var saved = BootFiles.Saved()
        if request.persists { saved = try await BootFiles(environment).remove(plan.rules) }
        try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(layout.kept) }
        if SecureFiles.exists(layout.answers) {
            saved.notes.append("\(layout.answers) stays: \"latchkey apply\" makes the firewall again.")
        }
        return saved
    }

    /// The current state on disk.
    func saved() -> SavedState { SavedState(files: StateFile.all(in: layout), kept: try? lastKept()) }

    /// Undoes an early `save`: the machine loads the same rules at boot as before.
    ///
    /// - Parameter earlier: the state on disk before the change.
    /// - Throws: `host`; what could not be written stays as it is.
    func undoSave(_ earlier: SavedState) async throws(ChangeError) {
        _ = try await BootFiles(environment).putBack(earlier.files, startsUnit: false)
        try ChangeError.wrap { () throws(HostError) in
            guard let kept = earlier.kept else { return try SecureFiles.remove(layout.kept) }
            try SecureFiles.write(Array(JSONText.encode(kept).utf8), to: layout.kept)
        }
    }
}
