import Testing

@testable import Host

@Suite("Tables created with nft")
struct NFTablesTests {
    @Test("a table that is not iptables' own is reported if one of its chains filters incoming packets")
    func tables() {
        let json = """
            {"nftables": [
              {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
              {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1, "type": "filter",
                         "hook": "input", "prio": 0, "policy": "drop"}},
              {"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter",
                         "hook": "input", "prio": 0, "policy": "accept"}},
              {"chain": {"family": "inet", "table": "filter", "name": "early", "handle": 2, "type": "filter",
                         "hook": "prerouting", "prio": -300, "policy": "accept"}},
              {"chain": {"family": "inet", "table": "out", "name": "output", "handle": 1, "type": "filter",
                         "hook": "output", "prio": 0, "policy": "accept"}},
              {"chain": {"family": "ip", "table": "ours", "name": "pre", "handle": 1, "type": "nat",
                         "hook": "prerouting", "prio": -100, "policy": "accept"}},
              {"chain": {"family": "netdev", "table": "guard", "name": "in", "handle": 1, "dev": "eth0",
                         "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept"}},
              {"chain": {"family": "ip6", "table": "side", "name": "helper", "handle": 3}}
            ]}
            """
        #expect(NFTables.judgingInput(Array(json.utf8)) == ["inet filter", "netdev guard"])
        #expect(NFTables.judgingInput(Array("Error: no".utf8)).isEmpty)
    }
}
