import Netfilter
import Testing

@testable import Host

@Suite("Other programs' tables in a rehearsal")
struct NFTableCopyTests {
    private static let listing = """
        # Warning: table ip filter is managed by iptables-nft, do not touch!
        table ip filter {
        \tchain INPUT {
        \t\ttype filter hook input priority filter; policy accept;
        \t\ttcp dport 99  xt match "recent" counter drop
        \t}
        }
        table inet firewalld { # progname firewalld
        \tflags owner,persist
        \tset bad {
        \t\ttype ipv4_addr
        \t\tflags interval
        \t\telements = { 192.0.2.0/24 }
        \t}

        \tchain nat_PREROUTING {
        \t\ttype nat hook prerouting priority dstnat + 10; policy accept;
        \t\ttcp dport 8080 dnat ip to 172.17.0.2:80
        \t}

        \tchain filter_INPUT {
        \t\ttype filter hook input priority filter + 10; policy drop;
        \t\tip saddr @bad drop comment "type nat"
        \t}
        }
        table inet asleep {
        \tflags dormant
        }

        """

    @Test("the listing of a table says who made it and whether it counts")
    func kinds() throws {
        let tables = try NFTable.tables(in: Self.listing)
        #expect(tables.map(\.id.description) == ["ip filter", "inet firewalld", "inet asleep"])
        #expect(tables.map(\.isOfIPTables) == [true, false, false])
        #expect(tables.map(\.hasXtables) == [true, false, false])
        #expect(tables.map(\.isDormant) == [false, false, true])
        #expect(try NFTable.tables(in: "").isEmpty)
    }

    @Test("a rehearsal gets it without its owner and without chains that rewrite addresses")
    func forRehearsal() throws {
        #expect(
            try NFTable.tables(in: Self.listing)[1].forRehearsal().text == """
                table inet firewalld {
                \tset bad {
                \t\ttype ipv4_addr
                \t\tflags interval
                \t\telements = { 192.0.2.0/24 }
                \t}
                \tchain filter_INPUT {
                \t\ttype filter hook input priority filter + 10; policy drop;
                \t\tip saddr @bad drop comment "type nat"
                \t}
                }

                """)
    }
}

@Suite("Chains that decide about input")
struct InputHookChainTests {
    @Test("they come in the order in which a packet passes them, with the program that made them")
    func order() {
        func chain(
            _ family: String, _ table: String, _ hook: String, _ priority: Int, _ type: String = "filter"
        ) -> String {
            """
            {"chain": {"family": "\(family)", "table": "\(table)", "name": "c", "type": "\(type)",
            "hook": "\(hook)", "prio": \(priority), "policy": "drop"}}
            """
        }
        let chains = [
            chain("inet", "firewalld", "input", 10), chain("ip", "filter", "input", 0),
            chain("inet", "f2b-table", "input", -1), chain("inet", "mine", "prerouting", 300),
            chain("ip", "docker-bridges", "prerouting", -100, "nat"), chain("inet", "firewalld", "output", 10),
        ]
        let read = InputHookChain.read(Array("{\"nftables\": [\(chains.joined(separator: ","))]}".utf8))
        #expect(read.map(\.tableTitle) == ["inet mine", "inet f2b-table", "ip filter", "inet firewalld"])
        #expect(read.map(\.owner) == [nil, "fail2ban", "iptables-nft", "firewalld"])
        #expect(read.last?.policy == "drop")
    }
}
