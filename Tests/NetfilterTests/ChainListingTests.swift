import Testing

@testable import Netfilter

@Suite("A single chain as listed by iptables")
struct ChainListingTests {
    @Test("a listing replaces the chain in a dump, with counters and policy")
    func replaced() throws {
        let dump = """
            *filter
            :INPUT ACCEPT [1:2]
            :OUTPUT ACCEPT [3:4]
            :mine - [0:0]
            [1:2] -A INPUT -j mine
            [3:4] -A mine -s 192.0.2.1/32 -j DROP
            COMMIT

            """
        let listing = """
            -P INPUT DROP -c 7 8
            -A INPUT -i lo -c 5 6 -j ACCEPT
            -A INPUT -m comment --comment "counts -c 1 2 only" -c 9 10
            -A INPUT -p tcp -m tcp --dport 22 -c 11 12 -g mine

            """
        let table = try #require(try RuleSet(dumped: dump, file: "test")["filter"])
        let read = try #require(table.replacing("INPUT", listing: listing))
        #expect(read.chain("INPUT") == Chain("INPUT", policy: .drop, counters: Counters(packets: 7, bytes: 8)))
        #expect(
            read.rules.map(\.text) == [
                "[3:4] -A mine -s 192.0.2.1/32 -j DROP", "[5:6] -A INPUT -i lo -j ACCEPT",
                "[9:10] -A INPUT -m comment --comment \"counts -c 1 2 only\"",
                "[11:12] -A INPUT -p tcp -m tcp --dport 22 -g mine",
            ])
        #expect(read.chain("OUTPUT") == table.chain("OUTPUT"))
        #expect(table.replacing("INPUT", listing: "Chain INPUT (policy ACCEPT)\n") == nil)
    }
}
