import Host
import Netfilter

/// The change that was last kept: what should be in force.
package struct KeptRules: Codable, Sendable, Equatable {
    /// The change's name.
    package var id: String
    /// How far it reached.
    package var scope: ChangeScope
    /// Its rules, in iptables-save's format.
    package var rules: PerFamily<String>
    /// Which iptables holds them.
    package var backend: Backend
}

/// What a kept change leaves behind: the answers, a record, and the rules for the next start.
package struct Persistence: Sendable {
    private let surroundings: Surroundings
    private var layout: Layout { surroundings.layout }

    /// The persistence of a machine.
    package init(_ surroundings: Surroundings) { self.surroundings = surroundings }

    /// The change that was last kept, or nil.
    ///
    /// - Throws: `damaged` and `host`.
    package func lastKept() throws(ChangeError) -> KeptRules? { try Self.lastKept(layout) }

    static func lastKept(_ layout: Layout) throws(ChangeError) -> KeptRules? {
        let path = keptPath(layout)
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let kept = JSONText.decode(KeptRules.self, from: bytes) else {
            throw .damaged(path: path, reason: "it is not a record of this version of latchkey")
        }
        return kept
    }

    /// Stores everything that a kept change leaves behind.
    ///
    /// - Returns: the files that hold the rules for the next start.
    /// - Throws: `host`, `badRules`; the rules in force are not touched.
    func save(_ request: ChangeRequest, plan: PerFamily<RuleSet>) async throws(ChangeError) -> [String] {
        let kept =
            request.restores.map { $0.record(request, plan: plan) }
            ?? KeptRules(
                id: request.id, scope: request.scope,
                rules: PerFamily(ipv4: plan.ipv4?.text, ipv6: plan.ipv6?.text), backend: request.backend)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(layout.state)
            try SecureFiles.write(Array(JSONText.encode(kept).utf8), to: Self.keptPath(layout))
            if let answers = request.answers {
                try SecureFiles.makeFolder(SecureFiles.folder(of: answers.path), mode: 0o755)
                let moment = UTCTime(secondsSince1970: surroundings.clock.date()).iso8601.replacing("T", with: " ")
                // A comment in the file's own language: all kept files are YAML.
                let heading = "# Kept \(moment) UTC, change \(request.id).\n"
                try SecureFiles.write(Array((heading + answers.text).utf8), to: answers.path)
            }
        }
        guard request.persists else { return [] }
        if let restores = request.restores { return try await putBack(restores.saved.files) }
        if let folder = otherService() {
            try await removeOwnUnit()
            var paths: [String] = []
            for (family, plan) in plan.present {
                paths.append(try merge(plan, request.scope, into: folder.path(family)))
            }
            return paths
        }
        return try await saveForOwnUnit(request, plan)
    }

    /// What outlives a reboot as it stands now.
    func saved() -> SavedState { SavedState(files: StateFile.all(in: layout), kept: try? lastKept()) }

    /// Puts the files of a snapshot's moment back.
    ///
    /// - Returns: those of them that are there afterwards; the answers are no rules and not among them.
    private func putBack(_ files: [StateFile]) async throws(ChangeError) -> [String] {
        var unitsChanged = false
        for file in files where StateFile.paths.contains(file.path) {
            let changed = try file.putBack(in: layout)
            unitsChanged = unitsChanged || changed && file.path.hasPrefix("/etc/systemd/")
        }
        if unitsChanged { try await reloadSystemd() }
        return files.filter { $0.content != .absent }.map { layout.path($0.path) }.filter { $0 != layout.answers }
    }

    private static func keptPath(_ layout: Layout) -> String { "\(layout.state)/kept.json" }

    // MARK: - Another service that restores rules at boot

    /// Where a service that the machine has already keeps its rules.
    private enum RulesFiles {
        /// netfilter-persistent of Debian: `rules.v4`, `rules.v6`.
        case netfilterPersistent(Layout)
        /// iptables-services of Red Hat's systems: `iptables`, `ip6tables`.
        case iptablesServices(Layout)

        func path(_ family: Family) -> String {
            switch self {
            case .netfilterPersistent(let layout):
                layout.path("/etc/iptables/rules.\(family == .ipv4 ? "v4" : "v6")")
            case .iptablesServices(let layout):
                layout.path("/etc/sysconfig/\(family == .ipv4 ? "iptables" : "ip6tables")")
            }
        }
    }

    private func otherService() -> RulesFiles? {
        if netfilterPersistentLoadsRules() { return .netfilterPersistent(layout) }
        let scripts = layout.path("/usr/libexec/iptables/iptables.init")
        return SecureFiles.exists(scripts) ? .iptablesServices(layout) : nil
    }

    /// Whether netfilter-persistent is there and loads iptables' rules at boot.
    ///
    /// It needs the plug-in of Debian's iptables-persistent and, where there is systemd, has to be enabled; what it does
    /// not load would be forgotten. Under another root it is enough that it is there.
    private func netfilterPersistentLoadsRules() -> Bool {
        guard surroundings.toolbox.find("netfilter-persistent") != nil else { return false }
        if layout.isRelocated { return true }
        guard SecureFiles.exists("/usr/share/netfilter-persistent/plugins.d/15-ip4tables") else { return false }
        return !SystemFacts().isSystemd || SystemdUnits().isEnabled("netfilter-persistent.service")
    }

    /// Puts a plan into a file of rules and leaves there what is not latchkey's.
    ///
    /// That is other tables, and with `inputChain` other chains too. What other programs have in force now is theirs
    /// to restore, and is not written.
    private func merge(_ plan: RuleSet, _ scope: ChangeScope, into path: String) throws(ChangeError) -> String {
        var earlier = RuleSet(tables: [])
        if SecureFiles.exists(path) {
            let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
            do { earlier = try RuleSet(parsing: String(decoding: bytes, as: UTF8.self), file: path) } catch {
                throw .badRules(error)
            }
        }
        let text = RuleEdits.merged(plan, scope: scope, into: earlier)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(SecureFiles.folder(of: path), mode: 0o755)
            try SecureFiles.write(Array(text.utf8), to: path)
        }
        return path
    }

    // MARK: - latchkey's own unit

    private var unitPath: String { layout.path("/etc/systemd/system/latchkey-restore.service") }
    private var wantsPath: String {
        layout.path("/etc/systemd/system/multi-user.target.wants/latchkey-restore.service")
    }
    private static let restoreFolder = "/var/lib/latchkey/restore"

    private func saveForOwnUnit(
        _ request: ChangeRequest, _ plan: PerFamily<RuleSet>
    ) async throws(ChangeError) -> [String] {
        guard layout.isRelocated || SystemFacts().isSystemd else {
            throw .refused(
                reason: "This machine has neither systemd nor netfilter-persistent, and latchkey knows no other way to "
                    + "load rules at boot. Install netfilter-persistent (Debian: iptables-persistent) and keep again.")
        }
        let kernel = try await LiveRules(
            backend: request.backend, families: plan.present.map(\.family), toolbox: surroundings.toolbox,
            runner: surroundings.runner)
        var commands: [String] = []
        var paths: [String] = []
        for (family, plan) in plan.present {
            guard let tool = kernel.tools[family] else { continue }
            let input = RuleEdits.apply(plan, scope: request.scope, live: RuleSet(tables: []))
            let file = "\(Self.restoreFolder)/\(family.rawValue).rules"
            try ChangeError.wrap { () throws(HostError) in
                try SecureFiles.makeFolder(layout.path(Self.restoreFolder))
                try SecureFiles.write(Array(input.text.utf8), to: layout.path(file))
            }
            let program =
                tool.restore.hasPrefix(layout.root) ? String(tool.restore.dropFirst(layout.root.count)) : tool.restore
            commands.append("ExecStart=\(program) -w 10\(input.flush ? "" : " --noflush") \(file)")
            paths.append(layout.path(file))
        }
        let unit = Self.unit(commands)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(SecureFiles.folder(of: wantsPath), mode: 0o755)
            try SecureFiles.write(Array(unit.utf8), to: unitPath, mode: 0o644)
            try SecureFiles.link(wantsPath, to: "/etc/systemd/system/latchkey-restore.service")
        }
        try await reloadSystemd()
        return paths + [unitPath]
    }

    /// systemd.special(7): what orders itself ahead of network-pre.target acts before any interface is up.
    ///
    /// Debian's nftables.service begins with `flush ruleset`, which takes the rules of iptables-nft too.
    private static func unit(_ commands: [String]) -> String {
        """
        # Written by latchkey when a change was kept; replaced with the next one.
        [Unit]
        Description=Firewall rules kept with latchkey
        Documentation=man:latchkey(8)
        DefaultDependencies=no
        Wants=network-pre.target
        After=local-fs.target systemd-modules-load.service nftables.service
        Before=network-pre.target shutdown.target
        Conflicts=shutdown.target

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        \(commands.joined(separator: "\n"))

        [Install]
        WantedBy=multi-user.target

        """
    }

    private func removeOwnUnit() async throws(ChangeError) {
        guard SecureFiles.exists(unitPath) else { return }
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.remove(wantsPath)
            try SecureFiles.remove(unitPath)
        }
        try await reloadSystemd()
    }

    private func reloadSystemd() async throws(ChangeError) {
        guard !layout.isRelocated, SystemFacts().isSystemd else { return }
        try await ChangeError.wrap { () async throws(HostError) in
            _ = try await surroundings.runner.check(
                Command(try surroundings.toolbox.need("systemctl"), ["daemon-reload"]))
        }
    }
}
