import Rehearsal

/// Every line of the tutorial, the part of the composed plan that implements it, and packets that show it.
enum Tutorial {
    static let tcpListeners: [UInt16] = [22, 25, 80, 111, 143, 631, 993, 3306]
    static let udpListeners: [UInt16] = [53, 123]
    /// What a stranger may reach of those.
    static let openTCP: [UInt16] = [22, 25, 80, 143, 993]

    /// What listens on the other server, outside.
    static let outsideTCP: [UInt16] = [25, 8080]
    static let outsideUDP: [UInt16] = [53]

    static let lines: [TutorialLine] = [
        // The flush: the rules below (`remnants`) no longer have any effect, in either direction.
        TutorialLine(
            "iptables -F", .emptied("filter"), allowed: [.stranger(.tcp, 80)], refused: [.stranger(.tcp, 3306)],
            undoesRemnants: true),
        TutorialLine(
            "iptables -X", .noUserChains, allowed: [.stranger(.tcp, 143)], refused: [.stranger(.tcp, 631)],
            undoesRemnants: true),
        TutorialLine("iptables -Z", .countersFromZero, allowed: [], refused: []),
        TutorialLine(
            "iptables -t nat -F", .emptied("nat"), allowed: [.stranger(.tcp, 993)], refused: [.stranger(.tcp, 111)],
            undoesRemnants: true),

        TutorialLine(
            "iptables -P INPUT DROP", .policy("filter", "INPUT", "DROP"), allowed: [],
            refused: [.stranger(.tcp, 3306), .stranger(.udp, 123), .stranger(.ping)]),
        TutorialLine(
            "iptables -P OUTPUT ACCEPT", .policy("filter", "OUTPUT", "ACCEPT"), allowed: [.server(.tcp, 8080)],
            refused: []),
        // Forwarded packets need a third host: `PlanForwardingTests`.
        TutorialLine(
            "iptables -P FORWARD ACCEPT", .policy("filter", "FORWARD", "ACCEPT"), allowed: [], refused: []),
        TutorialLine(
            "iptables -t nat -P PREROUTING ACCEPT", .policy("nat", "PREROUTING", "ACCEPT"),
            allowed: [.stranger(.tcp, 993)], refused: []),
        TutorialLine(
            "iptables -t nat -P POSTROUTING ACCEPT", .policy("nat", "POSTROUTING", "ACCEPT"),
            allowed: [.server(.tcp, 8080)], refused: []),

        TutorialLine(
            "iptables -A INPUT -i lo -j ACCEPT", .rule("latchkey: loopback"),
            allowed: [.loopback(.tcp, 3306), .loopback(.udp, 123), .loopback(.ping)],
            refused: [.stranger(.tcp, 3306), .stranger(.udp, 123), .stranger(.ping)]),
        TutorialLine(
            "iptables -A INPUT -s 192.168.1.33 -j ACCEPT", .rule("latchkey: admins"),
            allowed: [.admin(.tcp, 3306), .admin(.udp, 123), .admin(.ping)],
            refused: [.stranger(.tcp, 3306), .stranger(.udp, 123), .stranger(.ping)]),

        TutorialLine(
            "iptables -A INPUT -p tcp --dport 80 -j ACCEPT", .opening("tcp", 80), allowed: [.stranger(.tcp, 80)],
            refused: [.stranger(.tcp, 631)]),
        TutorialLine(
            "iptables -A INPUT -p tcp --sport 25 -m state --state ESTABLISHED,RELATED -j ACCEPT",
            .rule("latchkey: replies to what this server began"), allowed: [.server(.tcp, 25)],
            refused: [.stranger(.tcp, 3306, from: 25)]),
        TutorialLine(
            "iptables -A INPUT -p tcp --dport 25 -j ACCEPT", .opening("tcp", 25), allowed: [.stranger(.tcp, 25)],
            refused: [.stranger(.tcp, 111)]),
        TutorialLine(
            "iptables -A INPUT -p tcp --dport 143 -j ACCEPT", .opening("tcp", 143),
            allowed: [.stranger(.tcp, 143)], refused: [.stranger(.tcp, 111)]),
        TutorialLine(
            "iptables -A INPUT -p tcp --dport 993 -j ACCEPT", .opening("tcp", 993),
            allowed: [.stranger(.tcp, 993)], refused: [.stranger(.tcp, 111)]),
        TutorialLine(
            "iptables -A INPUT -p tcp --dport 22 -j ACCEPT", .rule("latchkey: ssh"),
            allowed: [.stranger(.tcp, 22)], refused: [.stranger(.tcp, 111)]),
        TutorialLine(
            "iptables -A INPUT -p udp --sport 53 -m state --state ESTABLISHED,RELATED -j ACCEPT",
            .rule("latchkey: replies to what this server began"), allowed: [.server(.udp, 53)],
            refused: [.stranger(.udp, 123, from: 53)]),
        TutorialLine(
            "iptables -A INPUT -p udp --dport 53 -j ACCEPT", .opening("udp", 53), allowed: [.stranger(.udp, 53)],
            refused: [.stranger(.udp, 123)]),
        // RELATED: nothing listens on UDP 9 outside, and the ICMP error about it must be accepted.
        TutorialLine(
            "iptables -A INPUT -p icmp -m state --state ESTABLISHED,RELATED -j ACCEPT",
            .rule("latchkey: replies to what this server began"),
            allowed: [.server(.ping), .server(.udp, 9, outcome: .refused)], refused: [.stranger(.ping)]),
    ]

    /// Rules from before, each of which does the opposite of a trial in a line that undoes remnants.
    static let remnants = """
        *filter
        :INPUT ACCEPT [70000:4200000]
        :FORWARD ACCEPT [70000:4200000]
        :OUTPUT ACCEPT [70000:4200000]
        :OLD - [70000:4200000]
        [70000:4200000] -A INPUT -p tcp -m tcp --dport 80 -j DROP
        [70000:4200000] -A INPUT -p tcp -m multiport --dports 143,631 -j OLD
        [70000:4200000] -A OLD -p tcp -m tcp --dport 143 -j DROP
        [70000:4200000] -A OLD -p tcp -m tcp --dport 631 -j ACCEPT
        COMMIT
        *nat
        :PREROUTING ACCEPT [70000:4200000]
        :INPUT ACCEPT [70000:4200000]
        :OUTPUT ACCEPT [70000:4200000]
        :POSTROUTING ACCEPT [70000:4200000]
        [70000:4200000] -A PREROUTING -p tcp -m tcp --dport 993 -j REDIRECT --to-ports 9
        [70000:4200000] -A PREROUTING -p tcp -m tcp --dport 111 -j REDIRECT --to-ports 22
        COMMIT

        """
}

/// One line of the tutorial.
struct TutorialLine: Sendable {
    /// The part of the plan that implements the line.
    enum Fulfilment: Hashable, Sendable {
        /// The table is in the plan, and afterwards contains only what the plan says.
        case emptied(String)
        case noUserChains
        case countersFromZero
        /// Table, chain, policy.
        case policy(String, String, String)
        /// The rule whose comment starts like this.
        case rule(String)
        /// The rule that opens a port to everyone.
        case opening(String, UInt16)
    }

    let text: String
    let fulfilment: Fulfilment
    let allowed: [Trial]
    let refused: [Trial]
    let undoesRemnants: Bool

    init(
        _ text: String, _ fulfilment: Fulfilment, allowed: [Trial], refused: [Trial], undoesRemnants: Bool = false
    ) {
        self.text = text
        self.fulfilment = fulfilment
        self.allowed = allowed
        self.refused = refused
        self.undoesRemnants = undoesRemnants
    }
}

/// A probe without its address family.
struct Trial: Hashable, Sendable {
    enum Origin: Hashable, Sendable {
        case stranger, admin
        /// From the server to another server, outside.
        case server
        /// From the server to itself.
        case loopback
    }

    let origin: Origin
    let kind: Probe.Kind
    let port: UInt16
    let sourcePort: UInt16?
    /// The outcome where it is allowed.
    let outcome: ProbeOutcome

    static func stranger(_ kind: Probe.Kind, _ port: UInt16 = 0, from sourcePort: UInt16? = nil) -> Trial {
        Trial(origin: .stranger, kind: kind, port: port, sourcePort: sourcePort, outcome: .accepted)
    }

    static func admin(_ kind: Probe.Kind, _ port: UInt16 = 0) -> Trial {
        Trial(origin: .admin, kind: kind, port: port, sourcePort: nil, outcome: .accepted)
    }

    static func server(_ kind: Probe.Kind, _ port: UInt16 = 0, outcome: ProbeOutcome = .accepted) -> Trial {
        Trial(origin: .server, kind: kind, port: port, sourcePort: nil, outcome: outcome)
    }

    static func loopback(_ kind: Probe.Kind, _ port: UInt16 = 0) -> Trial {
        Trial(origin: .loopback, kind: kind, port: port, sourcePort: nil, outcome: .accepted)
    }
}
