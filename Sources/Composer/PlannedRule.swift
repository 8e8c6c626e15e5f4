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

    /// Whether a rule does what is planned.
    ///
    /// How many packets a limit lets through, and how the log line looks, is the administrator's to choose in a
    /// template; nothing else is.
    func isFulfilled(by other: Rule) -> Bool {
        Self.withoutChoices(rule) == Self.withoutChoices(other)
    }

    private static func withoutChoices(_ rule: Rule) -> Rule {
        var plain = rule
        plain.matches = rule.matches.map { match in
            if case .limit = match { .limit(Match.Rate(1, per: .second)) } else { match }
        }
        if case .log = rule.target { plain.target = .log() }
        return plain
    }
}
