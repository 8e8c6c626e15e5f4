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
            "admins": .groups(
                admins.map { admin in
                    [
                        "source": Self.value(admin.source.network), "set": Self.value(admin.source.set?.name),
                        "admin": .text(admin.title),
                    ]
                }),
            "ssh": .groups(ssh.map { $0.templateValues(family) }),
            "services": .groups(services.map { $0.templateValues(family) }),
            "multicast": .groups(multicast.map { $0.templateValues(family) }),
            "protocols": .groups(protocols.map { $0.templateValues(family) }),
            "docker": .flag(answers.docker == .answers),
            "containers": .groups(containerInterfaces.map { ["interface": .text($0)] }),
            "published": .groups(published.map { $0.templateValues(family) }),
            "pingLimited": .flag(pingLimited == true),
            "pingEveryone": .flag(pingLimited == false),
            "echoRequest": .text(echoRequest.map(\.text).joined(separator: " ")),
            "log": .flag(answers.log),
        ]
    }

    /// Every name that a rule template may use.
    static let templateNames: Set<String> = [
        "replace", "ipv6", "ipv6Open", "admins", "ssh", "services", "multicast", "protocols", "docker",
        "containers", "interface", "published", "pingLimited",
        "pingEveryone", "echoRequest", "log", "source", "set", "admin", "transport", "port", "ports", "group", "match",
        "comment",
    ]

    fileprivate static func value(_ text: String?) -> RuleTemplateValue { text.map { .text($0) } ?? .flag(false) }
}

extension RuleLayout.Item {
    fileprivate func templateValues(_ family: Family) -> [String: RuleTemplateValue] {
        let isSingle = ports?.ranges.count == 1
        return [
            "source": RuleLayout.value(source.network),
            "set": RuleLayout.value(source.set?.name),
            "transport": RuleLayout.value(ports?.transport.rawValue),
            "port": RuleLayout.value(isSingle ? ports?.text : nil),
            "ports": RuleLayout.value(isSingle ? nil : ports?.text),
            "group": RuleLayout.value(group.map { CIDR($0).canonical }),
            "match": RuleLayout.value(ipProtocol?.match(family).text),
            "comment": .text(Rule.ownershipPrefix + comment),
        ]
    }
}
