import Host
import Netfilter

/// What should be in force: the rules of the change that was last kept, and of other tables those kept before it.
package struct KeptRules: Codable, Sendable, Equatable {
    /// The name of the change that was last kept.
    package var id: String
    /// The rules in iptables-save's format, each table as far as it is latchkey's; see `SavedRules`.
    package var rules: PerFamily<String>
    /// Which iptables holds them.
    package var backend: Backend
}

/// What a kept change leaves behind: the answers, a record, and the rules for the next start.
package struct Persistence: Sendable {
    private let environment: ChangeEnvironment
    private var layout: Layout { environment.layout }

    /// The persistence of a machine.
    package init(_ environment: ChangeEnvironment) { self.environment = environment }

    /// The change that was last kept, or nil.
    ///
    /// - Throws: `damaged` and `host`.
    package func lastKept() throws(ChangeError) -> KeptRules? { try Self.lastKept(layout) }

    static func lastKept(_ layout: Layout) throws(ChangeError) -> KeptRules? {
        let path = layout.kept
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let kept = JSONText.decode(KeptRules.self, from: bytes) else {
            throw .damaged(path: path, reason: "it is not a record of this version of latchkey")
        }
        return kept
    }

    /// Stores everything that a kept change leaves behind.
    ///
    /// Done twice it is the same: a guard may die in the middle, and the next one begins again.
    ///
    /// - Returns: the files that hold the rules for the next start, and what a person should know of it.
    /// - Throws: `host`, `badRules`; the rules in force are not touched.
    func save(_ request: ChangeRequest, plan: PerFamily<RuleSet>) async throws(ChangeError) -> BootFiles.Saved {
        var kept = PerFamily<RuleSet>()
        for (family, plan) in plan.present { kept[family] = SavedRules.kept(plan, scope: request.scope) }
        let record = request.restores.map { $0.record(request, plan: plan) } ?? record(request, kept)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(layout.state)
            try SecureFiles.write(Array(JSONText.encode(record).utf8), to: layout.kept)
            if let answers = request.answers {
                try SecureFiles.makeFolder(SecureFiles.folder(of: answers.path), mode: 0o755)
                let moment = UTCTime(secondsSince1970: environment.clock.date()).iso8601.replacing("T", with: " ")
                // A comment in the file's own language: all kept files are YAML.
                let heading = "# Kept \(moment) UTC, change \(request.id).\n"
                try SecureFiles.write(Array((heading + answers.text).utf8), to: answers.path)
            }
        }
        guard request.persists else { return BootFiles.Saved() }
        let bootFiles = BootFiles(environment)
        if let restores = request.restores {
            return try await bootFiles.putBack(restores.saved.files)
        }
        var saved = try await bootFiles.save(kept, backend: request.backend)
        if request.answers == nil, SecureFiles.exists(layout.answers) {
            saved.notes.append(
                "\(layout.answers) holds the answers of an earlier change, not these rules; plan and apply still read "
                    + "it where no other file is named.")
        }
        return saved
    }

    /// The record with the change in it; what the other iptables holds is not watched any more.
    private func record(_ request: ChangeRequest, _ kept: PerFamily<RuleSet>) -> KeptRules {
        var rules = PerFamily<String>()
        if let earlier = try? lastKept(), earlier.backend == request.backend { rules = earlier.rules }
        for (family, kept) in kept.present {
            let earlier = rules[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            rules[family] = SavedRules.recorded(kept, over: earlier ?? RuleSet()).text
        }
        return KeptRules(id: request.id, rules: rules, backend: request.backend)
    }

    /// What outlives a reboot as it stands now.
    func saved() -> SavedState { SavedState(files: StateFile.all(in: layout), kept: try? lastKept()) }

}
