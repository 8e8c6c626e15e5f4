import Host
import Netfilter

// The removal of everything of latchkey's that is loaded at boot.
extension BootFiles {
    /// Takes latchkey's rules and sets out of the files of other services, and removes its own unit.
    ///
    /// - Parameter plan: the rules that go, beside those with latchkey's comment.
    /// - Returns: notes for a person; no file with rules of latchkey's is left.
    /// - Throws: `host`, `badRules`.
    func remove(_ plan: PerFamily<RuleSet>) async throws(ChangeError) -> Saved {
        let notes = try removeFromServices(plan)
        try await stopUnit()
        try await removeOwn()
        // Not if somebody else has put a file there.
        try? SecureFiles.removeEmptyFolder(layout.path(BootPath.restoreFolder))
        return Saved(notes: notes)
    }

    /// Takes latchkey's rules and sets out of the files of other services.
    ///
    /// - Parameter plan: the rules that go, beside those with latchkey's comment.
    /// - Returns: notes for a person.
    /// - Throws: `host`, `badRules`.
    func removeFromServices(_ plan: PerFamily<RuleSet>) throws(ChangeError) -> [String] {
        var notes: [String] = []
        var left = PerFamily<[RuleSet]>()
        for (family, bare) in BootService.files {
            let path = layout.path(bare)
            guard let file = try read(path) else { continue }
            let removal = RuleRemoval(plan[family] ?? RuleSet())
            let rest = removal.rest(of: file)
            left[family] = (left[family] ?? []) + [rest]
            guard removal.concerns(file) else { continue }
            try write(SavedRules.text(rest), to: path, folderMode: 0o755)
            notes.append("latchkey's rules were removed from \(path); other rules in it stay.")
        }
        try removeSets(besides: left.present.flatMap(\.value))
        return notes
    }

    /// Whether anything of latchkey's is loaded at boot.
    ///
    /// - Parameter plan: the rules that are latchkey's, beside those with its comment.
    /// - Returns: whether anything would have to be removed.
    /// - Throws: `host`, `badRules`.
    func contain(_ plan: PerFamily<RuleSet>) throws(ChangeError) -> Bool {
        if (RestoreUnit.all + RestoreScript.all).contains(where: { SecureFiles.exists(layout.path($0)) }) {
            return true
        }
        for (family, bare) in BootService.files {
            guard let file = try read(layout.path(bare)) else { continue }
            if RuleRemoval(plan[family] ?? RuleSet()).concerns(file) { return true }
        }
        return false
    }

    /// Removes latchkey's own sets from the file of netfilter-persistent, unless rules that stay name them.
    private func removeSets(besides rules: [RuleSet]) throws(ChangeError) {
        let path = layout.path(BootPath.persistentSets)
        guard SecureFiles.exists(path) else { return }
        let named = rules.reduce(into: Set<String>()) { $0.formUnion(NamedSets.names(in: $1)) }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let rest = lines.filter { line in
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count > 1 else { return true }
            return !words[1].hasPrefix(NamedSets.ownPrefix) || named.contains(String(words[1]))
        }
        guard rest.count < lines.count else { return }
        try write(rest.joined(separator: "\n"), to: path, folderMode: 0o755)
    }

    /// Stops latchkey's own unit or script, which does nothing more than to forget that it ran.
    private func stopUnit() async throws(ChangeError) {
        guard environment.initSystem.isOfThisMachine else { return }
        let isSystemd = environment.initSystem.isSystemd
        guard let program = environment.toolbox.find(isSystemd ? "systemctl" : "rc-service") else { return }
        let paths = isSystemd ? [BootPath.restoreUnit] : [BootPath.restoreScript, RestoreScript.again]
        for name in paths.filter(SecureFiles.exists).map(SecureFiles.name) {
            _ = try? await environment.runner.run(Command(program, isSystemd ? ["stop", name] : [name, "stop"]))
        }
    }
}
