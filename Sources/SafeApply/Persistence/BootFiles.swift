import Glibc
import Host
import Netfilter

/// The files from which the kept rules are loaded at boot.
struct BootFiles: Sendable {
    /// What was saved.
    struct Saved: Sendable {
        /// The files.
        var paths: [String] = []
        /// Notes for a person, in whole sentences.
        var notes: [String] = []
    }

    let environment: ChangeEnvironment
    var layout: Layout { environment.layout }

    /// The files of a machine.
    init(_ environment: ChangeEnvironment) { self.environment = environment }

    /// Writes the kept rules to the files; rules there that the change does not cover stay.
    ///
    /// Those are other tables and, if only INPUT is kept, other chains. The active rules of other programs are not
    /// written: those programs restore them.
    ///
    /// - Parameters:
    ///   - kept: the rules.
    ///   - backend: their backend.
    ///   - sshPorts: the ports sshd listens on, for a boot at which a file cannot be loaded.
    /// - Returns: the files.
    /// - Throws: `host`, `badRules`, `refused` if nothing on this machine loads rules at boot.
    func save(_ kept: PerFamily<RuleSet>, backend: Backend, sshPorts: [UInt16]) async throws(ChangeError) -> Saved {
        guard let loader = BootLoader(environment) else {
            throw .refused(
                reason:
                    "This machine has neither systemd, nor OpenRC, nor netfilter-persistent, and latchkey supports no "
                    + "other way to load rules at boot. Install netfilter-persistent (Debian: iptables-persistent), "
                    + "apply again and keep.")
        }
        guard let service = loader.service else { return try await saveForOwn(kept, backend, sshPorts) }
        return try await save(kept, for: service, backend, sshPorts)
    }

    /// Restores the files of a snapshot.
    ///
    /// - Parameters:
    ///   - files: the files.
    ///   - startsUnit: whether latchkey's own unit may load them now.
    /// - Returns: the files that exist afterwards, without the answers, which are not rules.
    /// - Throws: `host`.
    func putBack(_ files: [StateFile], startsUnit: Bool = true) async throws(ChangeError) -> Saved {
        var unitsChanged = false
        for file in files where StateFile.paths.contains(file.path) {
            let changed = try file.putBack(in: layout)
            unitsChanged = unitsChanged || changed && file.path.hasPrefix(BootPath.systemUnits)
        }
        if unitsChanged { try await reloadSystemd() }
        if startsUnit, unitsChanged, SecureFiles.exists(layout.path(TableBootText.rulesFile)) { await startUnit() }
        let paths = files.filter { $0.content != .absent }.map { layout.path($0.path) }.filter { $0 != layout.answers }
        var saved = Saved(paths: paths)
        let own = Set((RestoreUnit.all + RestoreScript.all).map(layout.path))
        let others = paths.filter { !own.contains($0) }
        if !others.isEmpty, BootLoader(environment)?.isOwn ?? true {
            saved.notes.append(
                "Nothing on this machine loads \(others.joined(separator: ", ")) at boot any more. Install the package "
                    + "that did (netfilter-persistent), or apply your answers and keep them.")
        }
        return saved
    }

    // MARK: - For an installed service

    private func save(
        _ kept: PerFamily<RuleSet>, for service: BootService, _ backend: Backend, _ sshPorts: [UInt16]
    ) async throws(ChangeError) -> Saved {
        var saved = Saved()
        var files = PerFamily<RuleSet>()
        for (family, bare) in service.rules.present {
            let path = layout.path(bare)
            // A service that saves the active rules at shutdown may have saved a trial that was pending then.
            let file = try read(path)?.withoutTrial
            // Rules that were kept before this service was installed must not be lost with latchkey's own unit.
            let earlier = try read(layout.path(RestoreUnit.rules(family))).map(SavedRules.withoutCommands)
            let added = [earlier, kept[family]].compactMap(\.self)
            files[family] = added.isEmpty ? file : added.reduce(file ?? RuleSet()) { SavedRules.merged($1, into: $0) }
            if !added.isEmpty { saved.paths.append(path) }
        }
        let bareSets = service.setsFile(in: layout)
        let isOwn = bareSets == RestoreUnit.sets
        let areSaved = try await saveSets(of: files, to: layout.path(bareSets), keepingOthers: !isOwn)
        if areSaved { saved.paths.append(layout.path(bareSets)) }
        if areSaved, isOwn, BootLoader(.nftables, in: environment) == nil {
            saved.notes.append(
                "At boot, nothing creates the sets that the saved rules name (\(Self.list(Self.sets(of: files)))). Rules "
                    + "that name a missing set are not loaded: install ipset-persistent, apply again and keep.")
        }
        for (family, rules) in files.present {
            guard let bare = service.rules[family], saved.paths.contains(layout.path(bare)) else { continue }
            try write(SavedRules.text(rules), to: layout.path(bare), folderMode: 0o755)
        }
        if BootLoader.savesActiveRules(in: environment) {
            // At the next shutdown, the service writes rules of all programs to its file. If one of them names a set,
            // the service may be unable to load that file at boot.
            let own = try await saveForOwn(
                kept, backend, sshPorts, fallbackFor: service.orderNames(environment.families))
            saved.paths += own.paths.filter { !saved.paths.contains($0) }
        } else if areSaved, isOwn, let command = setsCommand {
            try removeFiles(except: [layout.path(bareSets)])
            saved.paths.append(
                try await writeOwn(RestoreSteps([command], before: service.orderNames(environment.families))))
        } else {
            try await removeOwn()
        }
        return saved
    }

    /// The command that creates the sets of latchkey's own unit or script; nil without the program ipset.
    private var setsCommand: String? {
        environment.toolbox.find("ipset").map { "\(bare($0)) -exist -file \(RestoreUnit.sets) restore" }
    }

    /// Removes latchkey's own unit, script and their files.
    func removeOwn() async throws(ChangeError) {
        let hadUnit = SecureFiles.exists(layout.path(BootPath.restoreUnit))
        for path in RestoreUnit.all + RestoreScript.all {
            try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(layout.path(path)) }
        }
        if hadUnit { try await reloadSystemd() }
    }

    // MARK: - For latchkey's own unit or script

    private func saveForOwn(
        _ kept: PerFamily<RuleSet>, _ backend: Backend, _ sshPorts: [UInt16], fallbackFor services: [String] = []
    ) async throws(ChangeError) -> Saved {
        var files = PerFamily<RuleSet>()
        for family in Family.allCases {
            let file = try read(layout.path(RestoreUnit.rules(family))).map(SavedRules.withoutCommands)
            files[family] = kept[family].map { SavedRules.merged($0, into: file ?? RuleSet()) } ?? file
        }
        let kernel = try await LiveRules(
            backend: backend, families: environment.families.filter { files[$0] != nil },
            toolbox: environment.toolbox, runner: environment.runner)
        var saved = Saved()
        var steps = RestoreSteps()
        let sets = layout.path(RestoreUnit.sets)
        if try await saveSets(of: files, to: sets, keepingOthers: false), let command = setsCommand {
            steps.add(command)
            saved.paths.append(sets)
        }
        for (family, rules) in files.present {
            guard let tool = kernel.tools[family] else { continue }
            let fallback = RuleBootText(rules: rules, family: family, sshPorts: sshPorts)
            let others = [(RuleBootText.restFile(family), fallback.rest), (RuleBootText.sshFile(family), fallback.ssh)]
                .compactMap { path, rules in rules.map { (path: path, rules: $0) } }
            for (path, rules) in [(RestoreUnit.rules(family), rules)] + others {
                try write(SavedRules.textWithoutFlush(rules), to: layout.path(path), folderMode: 0o700)
                saved.paths.append(layout.path(path))
            }
            steps.load(RestoreUnit.rules(family), orElse: others.map(\.path), program: bare(tool.restore))
            RestoreSteps.jumps(PublishedRules(in: rules["filter"]), program: bare(tool.main)).forEach { steps.add($0) }
        }
        try removeFiles(except: saved.paths)
        steps.fallbackFor = services
        saved.paths.append(try await writeOwn(steps))
        return saved
    }

    /// Removes the files of latchkey's own unit or script that it no longer loads.
    ///
    /// - Parameter paths: the files that it loads, with the layout's root.
    /// - Throws: `host`.
    func removeFiles(except paths: [String]) throws(ChangeError) {
        for path in RestoreUnit.files.map(layout.path) where !paths.contains(path) {
            try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(path) }
        }
    }

    /// Writes latchkey's own unit or, with OpenRC, its script, and the links that start it.
    ///
    /// - Parameter steps: what it does.
    /// - Returns: its path, with the layout's root.
    /// - Throws: `host`.
    func writeOwn(_ steps: RestoreSteps) async throws(ChangeError) -> String {
        let initSystem = environment.initSystem
        guard initSystem.isSystemd else {
            try write(
                RestoreScript.text(steps), to: BootPath.restoreScript, mode: 0o755,
                links: RestoreScript.links(initSystem.services), of: RestoreScript.links)
            return layout.path(BootPath.restoreScript)
        }
        try write(
            RestoreUnit.text(steps), to: BootPath.restoreUnit, mode: 0o644, links: RestoreUnit.links(steps),
            of: RestoreUnit.links)
        try await reloadSystemd()
        return layout.path(BootPath.restoreUnit)
    }

    /// Writes a file and links, and removes the other links.
    private func write(
        _ text: String, to bare: String, mode: mode_t, links: [(path: String, target: String)],
        of all: [(path: String, target: String)]
    ) throws(ChangeError) {
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(SecureFiles.folder(of: layout.path(bare)), mode: 0o755)
            try SecureFiles.write(Array(text.utf8), to: layout.path(bare), mode: mode)
            for link in all {
                let path = layout.path(link.path)
                guard links.contains(where: { $0.path == link.path }) else {
                    try SecureFiles.remove(path)
                    continue
                }
                try SecureFiles.makeFolder(SecureFiles.folder(of: path), mode: 0o755)
                try SecureFiles.link(path, to: link.target)
            }
        }
    }

    /// A path at boot, without the layout's root.
    func bare(_ path: String) -> String {
        path.hasPrefix(layout.root) ? String(path.dropFirst(layout.root.count)) : path
    }

    func reloadSystemd() async throws(ChangeError) {
        guard environment.initSystem.isRunning else { return }
        try await ChangeError.wrap { () async throws(HostError) in
            _ = try await environment.runner.check(
                Command(try environment.toolbox.need("systemctl"), ["daemon-reload"]))
        }
    }

    // MARK: - Sets

    /// Saves the current sets that rules use; a set that no longer exists stays as it was saved earlier.
    ///
    /// - Returns: whether there are any.
    private func saveSets(
        of files: PerFamily<RuleSet>, to path: String, keepingOthers: Bool
    ) async throws(ChangeError) -> Bool {
        let names = Self.sets(of: files)
        guard !names.isEmpty else {
            if !keepingOthers { try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(path) } }
            return false
        }
        let (live, earlier) = try await ChangeError.wrap { () async throws(HostError) in
            let sets = IPSets(toolbox: environment.toolbox, runner: environment.runner)
            let earlier = SecureFiles.exists(path) ? try SecureFiles.readTrusted(path) : []
            return (try await sets?.dump() ?? "", String(decoding: earlier, as: UTF8.self))
        }
        let now = NamedSets.lines(of: names, in: live)
        let left = Restoration.missingSets(earlier, live: now)
        try write(
            now + (keepingOthers ? left : NamedSets.lines(of: names, in: left)), to: path,
            folderMode: keepingOthers ? 0o755 : 0o700)
        return true
    }

    private static func sets(of files: PerFamily<RuleSet>) -> Set<String> {
        files.present.reduce(into: []) { $0.formUnion(NamedSets.names(in: $1.value)) }
    }

    private static func list(_ names: Set<String>) -> String { names.sorted().joined(separator: ", ") }

    // MARK: - Files

    func read(_ path: String) throws(ChangeError) -> RuleSet? {
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        // Another program may have saved temporary entries, whose sets are missing at boot.
        do { return try RuleSet(dumped: DumpText.decode(bytes), file: path).withoutTemporary } catch {
            throw .badRules(error)
        }
    }

    func write(_ text: String, to path: String, folderMode: UInt32) throws(ChangeError) {
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(SecureFiles.folder(of: path), mode: folderMode)
            try SecureFiles.write(DumpText.bytes(text), to: path)
        }
    }
}
