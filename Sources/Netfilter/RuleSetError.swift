/// A line that makes a text invalid as a rule set, with its place and text.
package struct RuleSetError: Error, Hashable, Sendable {
    /// The file as the caller named it.
    package let file: String
    /// The line, counted from 1.
    package let line: Int
    /// The offending text: the line, or the part of it that is wrong.
    package let text: String
    /// What is wrong with it.
    package let problem: Problem

    /// Everything that can be wrong with a rule set.
    package enum Problem: String, CaseIterable, Hashable, Sendable {
        case notUTF8
        case controlCharacter
        case lineTooLong
        case unterminatedQuote
        case apostrophe
        case outsideTable
        case tableInsideTable
        case missingCommit
        case unknownTable
        case badChainName
        case badPolicy
        case badCounters
        case badDeclaration
        case unknownCommand
        case missingChain
        case missingValue
        case danglingJump
    }
}

extension RuleSetError {
    /// The same problem at another place: where a person wrote the text that produced this line.
    package func at(file: String, line: Int) -> RuleSetError {
        RuleSetError(file: file, line: line, text: text, problem: problem)
    }
}

extension RuleSetError: CustomStringConvertible {
    /// What is wrong and what to do about it, without the place.
    package var message: String {
        let quoted = text.quoted()
        switch problem {
        case .notUTF8:
            return "\(quoted) is not UTF-8 text.\nSave the file as UTF-8."
        case .controlCharacter:
            return "\(quoted) has a control character.\nRemove it; lines end in a plain newline, without \\r."
        case .lineTooLong:
            return "\(quoted) is longer than 10239 bytes.\nSplit the rule: iptables-restore cannot read it."
        case .unterminatedQuote:
            return "\(quoted) opens a double quote and never closes it.\nAdd the closing quote."
        case .apostrophe:
            return "\(quoted): iptables-restore does not quote with apostrophes.\nUse double quotes."
        case .outsideTable:
            return "\(quoted) is outside a table.\nPut it between *filter (or another table) and COMMIT."
        case .tableInsideTable:
            return "\(quoted) begins a table inside another one.\nEnd the table above with a COMMIT line."
        case .missingCommit:
            return "\(quoted) has no end.\nAdd a COMMIT line after its last rule."
        case .unknownTable:
            return "\(quoted) is not a table.\nTables are filter, nat, mangle, raw and security."
        case .badChainName:
            return "\(quoted) is not a valid chain name.\nUse 1 to 28 bytes without blanks, and no - or ! first."
        case .badPolicy:
            return "\(quoted) is not a policy.\nWrite ACCEPT or DROP, or - for a chain of your own."
        case .badCounters:
            return "\(quoted) are not counters.\nWrite them as [PACKETS:BYTES], or omit them."
        case .badDeclaration:
            return "\(quoted) has too many words for a declaration.\nWrite it like :INPUT DROP [0:0]."
        case .unknownCommand:
            return "\(quoted) is not a command of iptables-restore.\nBegin the line with -A and a chain."
        case .missingChain:
            return "\(quoted) names no chain.\nName one, as in -A INPUT."
        case .missingValue:
            return "\(quoted) has nothing after it.\nAdd its value, or remove it."
        case .danglingJump:
            return "\(quoted) is not a chain of this table.\nDeclare it, as in :NAME - [0:0], or jump to another."
        }
    }

    /// The place, what is wrong and what to do.
    package var description: String { "\(file):\(line): \(message)" }
}
