import Netfilter
import Policy

extension RuleLayout {
    /// The values for the rule templates, by the names that the templates use.
    ///
    /// - Returns: the values; `false` where a rule does not have the part, so that the name is not looked up in an
    ///   outer scope.
    var templateValues: [String: RuleTemplateValue] {
        [
            "replace": .flag(answers.existing == .replace),
            "ipv6": .flag(family == .ipv6),
            "ipv6Open": .flag(family == .ipv6 && isOpen),
            "icmpv6Ahead": .flag(family == .ipv6 && !blocked.isEmpty),
            "admins": .groups(admins.map { $0.templateValues.merging(["admin": .text($0.title)]) { $1 } }),
            "blocked": .groups(blocked.map { $0.templateValues.merging(["title": .text($0.title)]) { $1 } }),
            "ssh": .groups(ssh.map { $0.templateValues(family) }),
            "services": .groups(services.map { $0.templateValues(family) }),
            "multicast": .groups(multicast.map { $0.templateValues(family) }),
            "protocols": .groups(protocols.map { $0.templateValues(family) }),
            "docker": .flag(answers.docker == .answers),
            "containers": .groups(containerInterfaces.map { ["prefix": .text($0)] }),
            "published": .groups(published.map { $0.templateValues(family) }),
            "pingLimited": .flag(pingLimited == true),
            "pingEveryone": .flag(pingLimited == false),
            "echoRequest": .text(echoRequest.map(\.text).joined(separator: " ")),
            "log": .flag(answers.log),
        ]
    }

    /// Every name that a rule template may use.
    static let templateNames: Set<String> = [
        "replace", "ipv6", "ipv6Open", "icmpv6Ahead", "admins", "ssh", "services", "multicast", "protocols",
        "docker", "containers", "prefix", "interface", "published", "blocked", "title", "limit", "pingLimited",
        "pingEveryone", "echoRequest", "log", "source", "set", "admin", "transport", "port", "ports", "group", "match",
        "comment",
    ]

    fileprivate static func value(_ text: String?) -> RuleTemplateValue { text.map { .text($0) } ?? .flag(false) }
}

extension RuleSource {
    fileprivate var templateValues: [String: RuleTemplateValue] {
        [
            "source": RuleLayout.value(network), "set": RuleLayout.value(set?.name),
            "interface": RuleLayout.value(interface?.text),
        ]
    }
}

extension RuleLayout.Whole {
    fileprivate var templateValues: [String: RuleTemplateValue] { source.templateValues }
}

extension RuleLayout.Item {
    fileprivate func templateValues(_ family: Family) -> [String: RuleTemplateValue] {
        let isSingle = ports?.ranges.count == 1
        let values: [String: RuleTemplateValue] = [
            "limit": RuleLayout.value(limit?.match(family)),
            "transport": RuleLayout.value(ports?.transport.rawValue),
            "port": RuleLayout.value(isSingle ? ports?.text : nil),
            "ports": RuleLayout.value(isSingle ? nil : ports?.text),
            "group": RuleLayout.value(group.map { CIDR($0).canonical }),
            "match": RuleLayout.value(ipProtocol?.match(family).text),
            "comment": .text(Rule.ownershipPrefix + comment),
        ]
        return values.merging(source.templateValues) { $1 }
    }
}
