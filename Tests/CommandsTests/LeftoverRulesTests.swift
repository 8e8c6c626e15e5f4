import Host
import Netfilter
import Policy
import Testing

@testable import Commands

@Suite("What inactive firewall managers have left")
struct LeftoverRulesTests {
    private static let ufw = """
        :ufw-before-input - [0:0]
        :ufw-user-input - [0:0]
        -A INPUT -j ufw-before-input
        -A ufw-before-input -j ufw-user-input
        """
    private static let firewalld = """
        :INPUT_ZONES - [0:0]
        :IN_public - [0:0]
        -A INPUT -j INPUT_ZONES
        -A INPUT_ZONES -g IN_public
        -A IN_public -p tcp -m tcp --dport 9090 -j ACCEPT
        """

    private func leftovers(
        _ filter: String, tables: [NFTable.Name] = [], active: Set<String> = [], backend: Backend = .nft
    ) throws -> LeftoverRules {
        let rules = try RuleSet(parsing: "*filter\n:INPUT DROP [0:0]\n\(filter)\nCOMMIT\n", file: "dump")
        return LeftoverRules([rules], tables: tables, active: active, backend: backend)
    }

    @Test("the empty chains of a stopped ufw are none; one rule that decides is one")
    func emptyChains() throws {
        #expect(try leftovers(Self.ufw).all.isEmpty)
        let open = Self.ufw + "\n-A ufw-user-input -p tcp -m tcp --dport 9090 -j ACCEPT"
        #expect(try leftovers(open).all == [.init(owner: "ufw", hasChains: true, tables: [])])
    }

    @Test("rules of an active manager are none")
    func active() throws {
        #expect(try leftovers(Self.firewalld).all.map(\.owner) == ["firewalld"])
        #expect(try leftovers(Self.firewalld, active: ["firewalld"]).all.isEmpty)
        let tables = [NFTable.Name("inet", "firewalld")]
        #expect(try leftovers("", tables: tables, active: ["firewalld"]).all.isEmpty)
    }

    @Test("a chain whose name is only like one of firewalld's belongs to no manager")
    func likeFirewalld() throws {
        let own = ":IN_office - [0:0]\n-A INPUT -j IN_office\n-A IN_office -j ACCEPT"
        #expect(try leftovers(own).all.isEmpty)
    }

    @Test("the remedy fits what is left: rules of iptables, tables of nftables, or both")
    func remedies() throws {
        let tables = [NFTable.Name("inet", "firewalld"), NFTable.Name("ip", "filter")]
        let chains = try leftovers(Self.firewalld)
        #expect(chains.remedy(chains.all[0]).hasPrefix("Apply your answers with \"existing: replace\""))
        let table = try leftovers("", tables: tables)
        #expect(
            table.remedy(table.all[0])
                == "First apply and keep your answers (with --no-rehearsal, if they are refused because of these rules), "
                + "and then run: sudo nft delete table inet firewalld")
        for tables in [tables, []] {
            let found = try leftovers(Self.firewalld, tables: tables, backend: .nftables)
            let remedy = found.remedy(found.all[0])
            #expect(remedy.hasPrefix("First apply and keep your answers (with"))
            #expect(remedy.hasSuffix("), and then reboot."))
        }
    }

    @Test("with \"existing: replace\", only what stays is noted")
    func notes() throws {
        #expect(try leftovers(Self.firewalld).notes(.replace).isEmpty)
        #expect(try leftovers(Self.firewalld).notes(.keep).count == 1)
        #expect(try leftovers("", tables: [NFTable.Name("inet", "firewalld")]).notes(.replace).count == 1)
    }
}
