import Composer
import Netfilter
import Policy
import Testing

/// The tutorial, line by line, and the part of the composed rule set that implements each line.
@Suite("Every line of the tutorial is implemented")
struct TutorialTests {
    /// What a line of the tutorial requires.
    enum Promise: Sendable {
        /// The whole table is loaded, which flushes rules, user chains and counters.
        case flushed(table: String)
        case policy(table: String, chain: String, ChainPolicy)
        /// A rule that accepts.
        case rule(String)
        /// A new packet to the port is accepted from anywhere.
        case open(UInt16, TransportProtocol)
        /// The first rule accepts replies; a new packet with that source port is not accepted.
        case repliesOnly
    }

    static let replies = "-m conntrack --ctstate RELATED,ESTABLISHED"

    @Test(
        "line",
        arguments: [
            ("iptables -F", Promise.flushed(table: "filter")),
            ("iptables -X", .flushed(table: "filter")),
            ("iptables -Z", .flushed(table: "filter")),
            ("iptables -t nat -F", .flushed(table: "nat")),
            ("iptables -P INPUT DROP", .policy(table: "filter", chain: "INPUT", .drop)),
            ("iptables -P OUTPUT ACCEPT", .policy(table: "filter", chain: "OUTPUT", .accept)),
            ("iptables -P FORWARD ACCEPT", .policy(table: "filter", chain: "FORWARD", .accept)),
            ("iptables -t nat -P PREROUTING ACCEPT", .policy(table: "nat", chain: "PREROUTING", .accept)),
            ("iptables -t nat -P POSTROUTING ACCEPT", .policy(table: "nat", chain: "POSTROUTING", .accept)),
            ("iptables -A INPUT -i lo -j ACCEPT", .rule("-i lo")),
            ("iptables -A INPUT -s 192.168.1.33 -j ACCEPT", .rule("-s 192.168.1.33/32")),
            ("iptables -A INPUT -p tcp --dport 80 -j ACCEPT", .open(80, .tcp)),
            ("iptables -A INPUT -p tcp --sport 25 -m state --state ESTABLISHED,RELATED -j ACCEPT", .repliesOnly),
            ("iptables -A INPUT -p tcp --dport 25 -j ACCEPT", .open(25, .tcp)),
            ("iptables -A INPUT -p tcp --dport 143 -j ACCEPT", .open(143, .tcp)),
            ("iptables -A INPUT -p tcp --dport 993 -j ACCEPT", .open(993, .tcp)),
            ("iptables -A INPUT -p tcp --dport 22 -j ACCEPT", .open(22, .tcp)),
            ("iptables -A INPUT -p udp --sport 53 -m state --state ESTABLISHED,RELATED -j ACCEPT", .repliesOnly),
            ("iptables -A INPUT -p udp --dport 53 -j ACCEPT", .open(53, .udp)),
            ("iptables -A INPUT -p icmp -m state --state ESTABLISHED,RELATED -j ACCEPT", .repliesOnly),
        ])
    func fulfilled(_ line: String, _ promise: Promise) throws {
        let golden = try #require(try GoldenCase.all().first { $0.name == "tutorial" })
        let rules = try Composer().compose(golden.plan(), family: .ipv4)
        let filter = try #require(rules["filter"])
        let stranger = try IPAddress(parsing: "203.0.113.9")
        switch promise {
        case .flushed(let name):
            let table = try #require(rules[name])
            #expect(table.chains.map(\.name) == Chain.builtIn(ofTable: name))
            #expect(table.chains.allSatisfy { $0.counters == .zero })
        case .policy(let table, let chain, let policy):
            #expect(rules[table]?.chain(chain)?.policy == policy)
        case .rule(let condition):
            #expect(filter.rules.contains { $0.matches.first?.text == condition && $0.target == .accept })
        case .open(let port, let transport):
            let packet = Packet(source: stranger, transport: transport.rawValue, port: port)
            #expect(packet.isAccepted(by: rules) == true)
        case .repliesOnly:
            #expect(filter.rules.first?.matches.first?.text == Self.replies)
            #expect(!rules.text.contains("--sport"))
            let ping = Packet(source: stranger, transport: "icmp", echoRequest: true)
            #expect(ping.isAccepted(by: rules) == false)
        }
    }

    @Test("with keep, a few rules decide, and the last one drops")
    func ruleNumbers() throws {
        let golden = try #require(try GoldenCase.all().first { $0.name == "tutorial-keep" })
        let filter = try #require(try Composer().compose(golden.plan(), family: .ipv4)["filter"])
        #expect(filter.chains == [Chain("INPUT", policy: .accept)])
        let comments = filter.rules(in: "INPUT").map { $0.comment?.dropFirst(Rule.ownershipPrefix.count) }
        #expect(
            comments == [
                "replies to what this server began", "loopback", "admins 192.168.1.33", "ssh",
                "services web, mail, dns", "services web, dns", "drop all else",
            ])
        #expect(filter.rules.map(\.target).dropLast().allSatisfy { $0 == .accept })
        #expect(filter.rules.last?.target == .drop)
        let stranger = try IPAddress(parsing: "203.0.113.9")
        #expect(Packet(source: stranger, transport: "tcp", port: 22).decidingRule(in: filter) == 4)
        #expect(Packet(source: stranger, transport: "udp", port: 53).decidingRule(in: filter) == 6)
        #expect(Packet(source: stranger, transport: "tcp", port: 23).decidingRule(in: filter) == 7)
    }

    @Test("nothing else is open to a stranger")
    func exactly() throws {
        let golden = try #require(try GoldenCase.all().first { $0.name == "tutorial" })
        let rules = try Composer().compose(golden.plan(), family: .ipv4)
        let stranger = try IPAddress(parsing: "203.0.113.9")
        let open = (UInt16(1)...UInt16.max).filter { port in
            Packet(source: stranger, transport: "tcp", port: port).isAccepted(by: rules) == true
        }
        #expect(open == [22, 25, 53, 80, 143, 443, 465, 587, 993])
    }
}
