import Netfilter

/// A service: the ports it needs, who may reach it by default, and how to detect it.
package struct ServiceTemplate: Equatable, Sendable {
    /// Where a template was read from.
    package enum Origin: Equatable, Sendable {
        /// Inside the binary.
        case builtIn
        /// A file of the administrator's.
        case file(String)
    }

    /// Who may reach a service when the answers say nothing about it.
    package enum Audience: String, CaseIterable, Sendable {
        case everyone
        case admins
    }

    /// The heading that a service is listed under.
    package enum Group: String, CaseIterable, Sendable {
        case access
        case web
        case mail
        case names
        case vpn
        case files
        case databases
        case infrastructure
        case monitoring
        case talk
        case games
        case other
    }

    /// The word in the answers file; also the name of the template's file.
    package let name: String
    /// Its name for people.
    package let title: String
    /// One sentence for a beginner.
    package let summary: String
    /// The heading it is listed under.
    package let group: Group
    /// The ports it needs, ascending.
    package let ports: [PortSpec]
    /// Protocols besides TCP and UDP that it needs.
    package let protocols: [IPProtocol]
    /// Multicast groups; if there are any, the ports are open only for packets sent to one of them.
    package let multicast: [IPAddress]
    /// Who may reach it if the answers don't say.
    package let audience: Audience
    /// Names of processes that indicate it.
    package let programs: [String]
    /// Listening ports that indicate it.
    package let hintPorts: [PortSpec]
    /// What else a person should know or set, in a sentence or two.
    package let note: String?
    /// The RFC or documentation that the ports come from.
    package let reference: String?
    /// Where the template was read from.
    package let origin: Origin
}

/// A protocol directly above IP, without ports, that a service may need.
package enum IPProtocol: String, CaseIterable, Comparable, Sendable {
    /// Encrypted packets of IPsec (RFC 4303).
    case esp
    /// Signed packets of IPsec (RFC 4302).
    case ah

    /// In the order of their numbers, 50 and 51.
    package static func < (left: IPProtocol, right: IPProtocol) -> Bool {
        left == .esp && right == .ah
    }
}

extension ServiceTemplate.Group {
    /// The heading for people.
    package var title: String {
        switch self {
        case .access: "Logging in and administering"
        case .web: "Web"
        case .mail: "Mail"
        case .names: "Names, addresses, time"
        case .vpn: "Private networks (VPN)"
        case .files: "Files and printing"
        case .databases: "Databases and messages"
        case .infrastructure: "Infrastructure"
        case .monitoring: "Monitoring"
        case .talk: "Talking and chatting"
        case .games: "Games, media, home"
        case .other: "Other"
        }
    }
}
