extension RuleSet {
    /// Refuses a jump to a chain that its table does not declare.
    ///
    /// iptables-nft's `--test` does not look; the load fails only once other tables are in force. A name in capitals
    /// may be an extension that is not known here, and passes.
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
                guard case .rule(let rule) = entry.statement, let name = rule.jumpsTo, !declared.contains(name),
                    name.utf8.contains(where: { (0x61...0x7a).contains($0) })
                else { continue }
                throw RuleSetError(file: file, line: line, text: name, problem: .danglingJump)
            }
            // COMMIT
            line += 1
        }
    }
}

extension Table {
    /// What `:NAME` and `-N NAME` lines declare.
    fileprivate var declaredChains: Set<String> {
        Set(
            chains.map(\.name)
                + entries.compactMap { entry in
                    guard case .command(let words) = entry.statement, words.count >= 2,
                        ["-N", "--new-chain"].contains(words[0].value)
                    else { return nil }
                    return words[1].value
                })
    }
}
