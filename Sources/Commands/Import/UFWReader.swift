import Host
import Import
import Netfilter

/// Reads the files from which ufw loads its rules.
struct UFWReader {
    private let reader: ImportReader

    /// A reader of this machine's files.
    init(_ reader: ImportReader) { self.reader = reader }

    /// The rules, as ufw loads them.
    ///
    /// - Throws: `Failure`: 65 for a broken file, 69 if ufw is not in use, 77 if only root can read them.
    func read() throws(Failure) -> ImportedRules {
        guard reader.exists("/etc/ufw/ufw.conf") else { throw reader.notInUse("ufw", "is not installed") }
        let settings = try reader.text("/etc/ufw/ufw.conf")
        guard ImportReader.value(of: "ENABLED", in: settings)?.lowercased() == "yes" else {
            throw reader.notInUse("ufw", "is installed, but not enabled: it filters nothing")
        }
        let defaults = reader.exists("/etc/default/ufw") ? try reader.text("/etc/default/ufw") : ""
        let policy = ImportReader.value(of: "DEFAULT_INPUT_POLICY", in: defaults)?.uppercased() ?? "DROP"
        let filtersIPv6 = ImportReader.value(of: "IPV6", in: defaults)?.lowercased() == "yes"
        var rules: [Family: [RuleSet]] = [:]
        for family in filtersIPv6 ? Family.allCases : [.ipv4] {
            let suffix = family == .ipv4 ? "" : "6"
            for name in ["before\(suffix).rules", "user\(suffix).rules", "after\(suffix).rules"] {
                // Older versions keep the user's rules below /lib.
                let path = ["/etc/ufw/\(name)", "/lib/ufw/\(name)"].first(where: reader.exists) ?? "/etc/ufw/\(name)"
                rules[family, default: []].append(try self.rules(path, family))
            }
        }
        let level = ImportReader.value(of: "LOGLEVEL", in: settings)?.lowercased() ?? "off"
        let files = UFWFiles(rules: rules, policy: policy, filtersIPv6: filtersIPv6)
        var notes: [String] = []
        let routed = rules.values.flatMap { $0 }.contains { set in
            (set["filter"]?.rules ?? []).contains { $0.chain.hasSuffix("user-forward") }
        }
        if routed { notes.append("ufw has rules for forwarded packets (ufw route). Answers do not cover those.") }
        if reader.isExecutable("/etc/ufw/before.init") || reader.isExecutable("/etc/ufw/after.init") {
            notes.append("ufw runs before.init or after.init at its start. What those do is not imported.")
        }
        return ImportedRules(filter: files.filter, isLogging: level != "off", notes: notes)
    }

    private func rules(_ path: String, _ family: Family) throws(Failure) -> RuleSet {
        let text = try reader.text(path)
        do { return try UFWFiles.rules(text, file: reader.context.facts.path(path), for: family) } catch {
            throw Failure(
                .badData, "A mistake in the rules:\n\(error)", activeRules: Failure.nothingChanged,
                next: "correct the file and try again.")
        }
    }
}
