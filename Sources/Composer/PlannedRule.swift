import Netfilter
import Policy

/// One rule as the plan wants it: what the templates are given, and what must come out of them.
struct PlannedRule: Equatable {
    /// The rule templates; a rule comes out of one of them.
    enum Template: String, CaseIterable {
        case ruleset
        case replies
        case admins
        case ssh
        case services
        case icmpv6
        case ping
        case log
        case last
    }

    /// The template that writes the rule.
    let template: Template
    /// The rule that must come out.
    let rule: Rule

    /// A rule of INPUT with its comment.
    init(_ template: Template, _ matches: [Match], comment: String, target: Target = .accept) {
        self.template = template
        rule = Rule("INPUT", matches + [.comment(Rule.ownershipPrefix + comment)], target: target)
    }

    /// What a line of a rule set says beside the administrator's choices; equal to a planned line's, it is that line.
    ///
    /// How many packets a limit lets through, and how the log line looks, is the administrator's to choose in a
    /// template; nothing else is, the spelling neither: the kernel must give back the same text.
    static func essence(of line: String) -> String {
        guard var plain = try? Rule(parsing: line), plain.text == line else { return line }
        plain.matches = plain.matches.map { match in
            if case .limit = match { .limit(Match.Rate(1, per: .second)) } else { match }
        }
        if case .log = plain.target { plain.target = .log() }
        return plain.text
    }
}
