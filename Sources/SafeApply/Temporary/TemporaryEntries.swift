import Host
import Netfilter

/// The temporary entries of a machine: addresses and networks that are allowed or blocked at once, without a change.
///
/// They are beside latchkey's rules, so that a pending change, its rollback and its keep leave them as they are; the
/// kernel itself ends those that have a time. Nothing of them is saved for boot.
package struct TemporaryEntries: Sendable {
    private let backend: any TemporaryBackend
    private let families: [Family]

    /// The entries of a backend.
    ///
    /// - Parameters:
    ///   - backend: the backend of the kept or pending rules.
    ///   - environment: the machine.
    /// - Throws: `host` if its tools are missing.
    package init(_ backend: Backend, in environment: ChangeEnvironment) async throws(ChangeError) {
        families = environment.families
        switch backend {
        case .nftables:
            self.backend = NFTablesTemporaryRules(
                try LiveTables(toolbox: environment.toolbox, runner: environment.runner))
        case .nft, .legacy:
            self.backend = IPTablesTemporaryRules(
                try await LiveRules(
                    backend: backend, families: environment.families, toolbox: environment.toolbox,
                    runner: environment.runner))
        }
    }

    /// The entries of iptables, through the tools of a change.
    init(_ kernel: LiveRules) {
        families = kernel.tools.present.map(\.family)
        backend = IPTablesTemporaryRules(kernel)
    }

    /// All entries that have not ended.
    ///
    /// - Throws: if the kernel's sets cannot be read.
    package func list() async throws(ChangeError) -> [TemporaryEntry] {
        TemporaryEntry.listed(try await backend.elements())
    }

    /// Whether the rules that look entries up are there and ahead of latchkey's; another program may have flushed them.
    ///
    /// - Parameter entries: the present entries.
    /// - Returns: whether they are, in the families of the entries.
    /// - Throws: if the rules cannot be read.
    package func areActive(_ entries: [TemporaryEntry]) async throws(ChangeError) -> Bool {
        for family in Family.allCases where entries.contains(where: { $0.source.family == family }) {
            guard try await backend.isActive(family) else { return false }
        }
        return true
    }

    /// The interfaces through which admins come in, as the rules know them.
    ///
    /// - Throws: if the rules cannot be read.
    package func unblockedInterfaces() async throws(ChangeError) -> [InterfaceName] {
        var found: [InterfaceName] = []
        for family in families { found += try await backend.unblockedInterfaces(family) }
        return found
    }

    /// The entries that block packets from one of these interfaces: they were made before admins came in there.
    ///
    /// - Parameter interfaces: the interfaces through which admins come in.
    /// - Returns: the entries; empty if none blocks them.
    /// - Throws: if the kernel's sets or rules cannot be read.
    package func blocking(_ interfaces: [InterfaceName]) async throws(ChangeError) -> [TemporaryEntry] {
        let blocked = try await list().filter { $0.verdict == .block }
        var found: [TemporaryEntry] = []
        for family in families where !interfaces.isEmpty && blocked.contains(where: { $0.source.family == family }) {
            let unblocked = try await backend.unblockedInterfaces(family)
            guard !interfaces.allSatisfy(unblocked.contains) else { continue }
            found += blocked.filter { $0.source.family == family }
        }
        return found
    }

    /// Adds an entry, reads it back, and removes the same source from the other list.
    ///
    /// - Parameters:
    ///   - entry: the entry; one that is there gets the new time.
    ///   - admins: the sources that no entry blocks.
    /// - Returns: the entries of the same source in the other list, which were removed.
    /// - Throws: if a step fails; what was done is undone then.
    package func add(_ entry: TemporaryEntry, admins: UnblockedSources) async throws(ChangeError) -> [TemporaryEntry] {
        guard families.contains(entry.source.family) else {
            throw .refused(reason: "This kernel has no \(entry.source.family.title).")
        }
        let before = try await backend.elements()
        let moved = before.filter { $0.source == entry.source && ($0.list == .block) != (entry.verdict == .block) }
        do throws(ChangeError) {
            try await backend.edit(adding: entry.elements, removing: moved, admins: admins)
            let after = TemporaryEntry.listed(try await backend.elements().filter { $0.source == entry.source })
            // It may end before it is read back.
            let isThere = after.contains { $0.verdict == entry.verdict && $0.label == entry.label }
            let isBrief = (entry.secondsLeft ?? .max) < 3
            guard isThere || isBrief, after.allSatisfy({ $0.verdict == entry.verdict }),
                try await backend.isActive(entry.source.family)
            else { throw ChangeError.refused(reason: "The kernel does not show the entry that was made.") }
        } catch {
            try? await undo(entry, to: before, admins: admins)
            throw error
        }
        return TemporaryEntry.listed(moved)
    }

    /// Brings back the elements of a source as they were.
    private func undo(
        _ entry: TemporaryEntry, to before: [TemporaryElement], admins: UnblockedSources
    ) async throws(ChangeError) {
        guard !before.isEmpty else { return try await backend.removeAll() }
        let earlier = before.filter { $0.source == entry.source }
        let now = try await backend.elements().filter { $0.source == entry.source }
        let new = now.filter { element in
            !earlier.contains { $0.list == element.list }
        }
        try await backend.edit(adding: earlier, removing: new, admins: admins)
    }

    /// Removes all entries of exactly this source; with the last one, all that entries need goes too.
    ///
    /// - Returns: the removed entries; empty if there are none.
    /// - Throws: if a step fails.
    package func remove(_ source: CIDR) async throws(ChangeError) -> [TemporaryEntry] {
        let before = try await backend.elements()
        let gone = before.filter { $0.source == source }
        guard !gone.isEmpty else { return [] }
        if gone.count == before.count {
            try await backend.removeAll()
        } else {
            try await backend.edit(adding: [], removing: gone, admins: UnblockedSources())
        }
        guard try await !backend.elements().contains(where: { $0.source == source }) else {
            throw .refused(reason: "The kernel still shows an entry of \(source).")
        }
        return TemporaryEntry.listed(gone)
    }

    /// Removes all entries, and all that they need.
    ///
    /// - Throws: the first error.
    package func removeAll() async throws(ChangeError) { try await backend.removeAll() }
}
