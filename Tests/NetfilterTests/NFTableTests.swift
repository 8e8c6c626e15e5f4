import Netfilter
import Testing

@Suite("Tables of nftables")
struct NFTableTests {
    private static let listing = """
        table inet filter { # progname firewalld
        	flags owner
        	set bad {
        		type ipv4_addr
        		flags interval
        		elements = { 192.0.2.0/24,
        			     198.51.100.7 }
        	}

        	ct helper ftp {
        		type "ftp" protocol tcp
        		l3proto inet
        	}

        	chain input {
        		comment "a chain"
        		type filter hook input priority filter; policy drop;
        		ip saddr @bad drop
        		jump other comment "jump other { @bad }"
        	}

        	chain other {
        		tcp dport vmap { 22 : goto ssh, 80 : accept }
        		return
        	}

        	chain ssh {
        	}
        }
        table ip nat {
        }

        """

    @Test("a listing is read into its parts, and written again it means the same")
    func parts() throws {
        let tables = try NFTable.tables(in: Self.listing)
        #expect(tables.map(\.id.description) == ["inet filter", "ip nat"])
        let table = tables[0]
        #expect(table.lines == ["flags owner"])
        #expect(
            table.parts.map { "\($0.kind)=\($0.name)" } == [
                "set=bad", "ct helper=ftp", "chain=input", "chain=other", "chain=ssh",
            ])
        let input = try #require(table.part("chain", "input"))
        #expect(input.hook == "type filter hook input priority filter")
        #expect(input.isInput && input.policy == .drop)
        #expect(input.rules == ["ip saddr @bad drop", "jump other comment \"jump other { @bad }\""])
        #expect(table.part("chain", "other")?.hook == nil)
        #expect(try NFTable.tables(in: tables.map(\.text).joined()) == tables)
    }

    @Test("a base chain gets another policy and other rules, and keeps its hook and comment")
    func otherPolicy() throws {
        let input = try #require(try NFTable.tables(in: Self.listing)[0].part("chain", "input"))
        let open = input.with(policy: .accept, rules: ["counter"])
        #expect(
            open.lines == ["comment \"a chain\"", "type filter hook input priority filter; policy accept;", "counter"])
    }

    @Test("new names replace chains and sets, but not quoted text or other words")
    func renamed() {
        var names = NFTableNames()
        names.chains = ["other": "trial-other", "ssh": "trial-ssh"]
        names.sets = ["bad": "trial-bad"]
        #expect(
            names.renamed("ip saddr @bad jump other comment \"jump other @bad\"")
                == "ip saddr @trial-bad jump trial-other comment \"jump other @bad\"")
        #expect(
            names.renamed("tcp dport vmap { 22 : goto ssh, 80 : accept }")
                == "tcp dport vmap { 22 : goto trial-ssh, 80 : accept }")
        #expect(
            names.renamed("iifname \"ssh\" ip saddr != @bad, other") == "iifname \"ssh\" ip saddr != @trial-bad, other")
    }

    @Test(
        "rules that may leave their chain early are recognised",
        arguments: [
            ("ip saddr 192.0.2.1 return", true), ("tcp dport vmap { 22 : goto ssh }", true), ("jump other", false),
            ("counter accept comment \"return\"", false),
        ])
    func mayReturn(line: String, expected: Bool) { #expect(NFTableNames.mayReturn(line) == expected) }

    @Test(
        "a line in another form is named with its number",
        arguments: [
            ("table inet t {\n\tchain c {\n\t\tdrop\n}\n", 4), ("flush ruleset\n", 1), ("table inet t {\n", 2),
            ("table inet t {\n\t\tdrop\n}\n", 2), ("table inet t {\n\tflags x\n\tc {\n\t}\n}\n", 3),
        ])
    func otherForm(text: String, line: Int) {
        #expect(throws: NFTableError.self) { _ = try NFTable.tables(in: text) }
        do { _ = try NFTable.tables(in: text) } catch { #expect(error.line == line) }
    }

    @Test("elements that come and go do not count in a comparison")
    func lasting() {
        let set = NFTable.Part(
            "set", "bans",
            lines: ["type ipv4_addr", "flags timeout", "elements = { 192.0.2.1 timeout 10s,", "  192.0.2.2 }"])
        #expect(set.lasting == ["type ipv4_addr", "flags timeout"])
        let fixed = NFTable.Part("set", "own", lines: ["type ipv4_addr", "elements = { 192.0.2.1 }"])
        #expect(fixed.lasting == fixed.lines)
    }

    @Test("differences are lines with their part, old before new")
    func differences() throws {
        let before = NFTable(.latchkey, parts: [NFTable.Part("chain", "input", lines: ["a", "b"])])
        let after = NFTable(.latchkey, parts: [NFTable.Part("chain", "input", lines: ["a", "c"])])
        #expect(NFTable.differences(from: before, to: after) == ["-inet latchkey input b", "+inet latchkey input c"])
        #expect(NFTable.differences(from: nil, to: after) == ["+inet latchkey input a", "+inet latchkey input c"])
        #expect(NFTable.differences(from: before, to: before).isEmpty)
    }
}
