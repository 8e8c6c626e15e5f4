extension RuleSet {
    /// Refuses a jump to a chain that its table does not declare.
    ///
    /// iptables-nft's `--test` does not check this; the load would fail after other tables are already active. Targets
    /// of iptables and xtables-addons are accepted; any other target without options has to be a chain.
    ///
    /// - Throws: `RuleSetError` with the line of the first such rule.
    package func requireChains(file: String) throws(RuleSetError) {
        var line = 0
        for part in parts {
            line += 1
            guard case .table(let table) = part else { continue }
            let declared = table.declaredChains
            for entry in table.entries {
                line += 1
                guard let name = entry.statement.jumpsTo, !declared.contains(name), !Target.addons.contains(name) else {
                    continue
                }
                throw RuleSetError(file: file, line: line, text: name, problem: .danglingJump)
            }
            // COMMIT
            line += 1
        }
    }
}

extension Entry.Statement {
    /// The chain that a rule jumps to, regardless of the rule's position in its chain.
    fileprivate var jumpsTo: String? {
        switch self {
        case .rule(let rule): rule.jumpsTo
        case .command(let words): Rule(inserted: words)?.jumpsTo
        case .chain, .note: nil
        }
    }
}

extension Rule {
    /// The rule of an `-I` or `-R` line; nil for any other.
    fileprivate init?(inserted words: [Word]) {
        guard words.count > 2, ["-I", "--insert", "-R", "--replace"].contains(words[0].value) else { return nil }
        let isNumbered = words[2].value.utf8.allSatisfy(Ascii.isDigit)
        try? self.init(chain: words[1].value, counters: nil, words: words[(isNumbered ? 3 : 2)...])
    }
}

extension Target {
    /// xtables-addons(8): other targets that may be named without options.
    ///
    /// Separate from the other extensions: if xtables-addons is not installed, a chain may have such a name.
    fileprivate static let addons: Set<String> = [
        "ACCOUNT", "CHAOS", "DELUDE", "DHCPMAC", "DNETMAP", "ECHO", "IPMARK", "LOGMARK", "PROTO", "SYSRQ", "TARPIT",
    ]
}

extension Table {
    /// The chains that `:NAME`, `-N NAME` and `-E OLD NAME` lines declare.
    fileprivate var declaredChains: Set<String> {
        Set(
            chains.map(\.name)
                + entries.compactMap { entry in
                    guard case .command(let words) = entry.statement, words.count >= 2 else { return nil }
                    return switch words[0].value {
                    case "-N", "--new-chain", "--new": words[1].value
                    case "-E", "--rename-chain": words.dropFirst(2).first?.value
                    default: nil
                    }
                })
    }
}
