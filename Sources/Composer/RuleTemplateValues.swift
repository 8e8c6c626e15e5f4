import Netfilter
import Policy

extension RuleLayout {
    /// The values that the rule templates fill in, by the names they have there.
    ///
    /// - Returns: text, truth values, and lists of such groups. `false` stands where a rule has no such part, so that
    ///   Mustache never looks for the name further out.
    var templateValues: [String: Any] {
        [
            "replace": answers.existing == .replace,
            "ipv6": family == .ipv6,
            "ipv6Open": family == .ipv6 && isOpen,
            "admins": admins.map { admin -> [String: Any] in
                ["source": Self.value(RuleSource(admin).network?.canonical), "admin": admin.description]
            },
            "ssh": ssh.map { $0.templateValues(family) },
            "services": services.map { $0.templateValues(family) },
            "multicast": multicast.map { $0.templateValues(family) },
            "protocols": protocols.map { $0.templateValues(family) },
            "pingLimited": pingLimited == true,
            "pingEveryone": pingLimited == false,
            "echoRequest": echoRequest.map(\.text).joined(separator: " "),
            "log": answers.log,
        ]
    }

    /// Every name that a rule template may use.
    static let templateNames: Set<String> = [
        "replace", "ipv6", "ipv6Open", "admins", "ssh", "services", "multicast", "protocols", "pingLimited",
        "pingEveryone", "echoRequest", "log", "source", "admin", "transport", "port", "ports", "group", "match",
        "comment",
    ]

    fileprivate static func value(_ text: String?) -> Any { text.map { $0 as Any } ?? false }
}

extension RuleLayout.Item {
    fileprivate func templateValues(_ family: Family) -> [String: Any] {
        let isSingle = ports?.ranges.count == 1
        return [
            "source": RuleLayout.value(source.network?.canonical),
            "transport": RuleLayout.value(ports?.transport.rawValue),
            "port": RuleLayout.value(isSingle ? ports?.text : nil),
            "ports": RuleLayout.value(isSingle ? nil : ports?.text),
            "group": RuleLayout.value(group.map { CIDR($0).canonical }),
            "match": RuleLayout.value(ipProtocol?.match(family).text),
            "comment": Rule.ownershipPrefix + comment,
        ]
    }
}
