import Testing

@testable import Netfilter

@Suite("Addresses")
struct AddressTests {
    @Test(
        "an address is read in every form of RFC 4291 and printed as iptables prints it",
        arguments: [
            ("192.168.1.33", "192.168.1.33"),
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
            ("::ffff:192.0.2.128", "::ffff:192.0.2.128"),
            ("::ffff:c000:280", "::ffff:192.0.2.128"),
            ("::192.0.2.128", "::192.0.2.128"),
            ("::1:0", "::0.1.0.0"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("fe80::1", "fe80::1"),
        ])
    func canonicalForm(written: String, printed: String) throws {
        let address = try IPAddress(parsing: written)
        #expect(address.description == printed)
        #expect(try IPAddress(parsing: printed) == address)
        #expect(address.family == (written.contains(":") ? .ipv6 : .ipv4))
    }

    @Test(
        "text that is not an address is refused, with the text and what to do",
        arguments: [
            ("192.168.1.300", "\"192.168.1.300\" is not an address: 300 is more than 255."),
            ("192.168.01.3", "\"192.168.01.3\" is ambiguous: write 1, not 01."),
            ("fe80::1%eth0", "\"fe80::1%eth0\" contains an interface; remove the % and everything after it."),
            (
                "١٩٢.168.1.1",
                "\"\\u{661}\\u{669}\\u{662}.168.1.1\" has a character that is not allowed in an address; type it again."
            ),
            ("10.0.0.0/8", "\"10.0.0.0/8\" is a network; write one address, without the slash."),
            ("example.org", "\"example.org\" is not an address; write it like 192.168.1.33 or 2001:db8::1."),
        ])
    func refusal(text: String, message: String) throws {
        let error = #expect(throws: AddressError.self) { try IPAddress(parsing: text) }
        #expect(error?.message == message)
        #expect(error?.text == text)
    }

    @Test(
        "malformed addresses are refused",
        arguments: [
            "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", " 1.2.3.4", "+1.2.3.4",
            "-1.2.3.4", "0x7f.0.0.1", "127.1", "2130706433", "1.2.3.4\n", "1.2.3.\u{0}4", ":", ":::", "1:::2", "::1::",
            "1::2::3", ":1", "1:", ":1::2", "1::2:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "g::", "+1::", "1::-2", "::1.2.3",
            "::1.2.3.4:5", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "[::1]", "localhost",
        ])
    func malformed(text: String) {
        #expect(throws: AddressError.notAnAddress(text)) { try IPAddress(parsing: text) }
    }

    @Test("addresses sort IPv4 first, then by number")
    func order() throws {
        let sorted = try ["::1", "10.0.0.2", "9.255.255.255", "2001:db8::", "10.0.0.10"]
            .map { text in try IPAddress(parsing: text) }.sorted().map(\.description)
        #expect(sorted == ["9.255.255.255", "10.0.0.2", "10.0.0.10", "::1", "2001:db8::"])
    }

    @Test("an address has 4 bytes or 16", arguments: [0, 3, 5, 15, 17])
    func byteCount(count: Int) {
        #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }
}

@Suite("Networks")
struct CIDRTests {
    @Test(
        "a network is read, printed for people and printed for iptables",
        arguments: [
            ("192.168.1.33", "192.168.1.33", "192.168.1.33/32"),
            ("192.168.1.33/32", "192.168.1.33", "192.168.1.33/32"),
            ("10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"),
            ("192.168.1.128/25", "192.168.1.128/25", "192.168.1.128/25"),
            ("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:5::/64", "2001:db8:5::/64", "2001:db8:5::/64"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::1/128"),
            ("::/0", "::/0", "::/0"),
            ("fe80::/10", "fe80::/10", "fe80::/10"),
        ])
    func forms(written: String, people: String, iptables: String) throws {
        let network = try CIDR(parsing: written)
        #expect(network.description == people)
        #expect(network.canonical == iptables)
        #expect(try CIDR(parsing: people) == network)
        #expect(try CIDR(parsing: iptables) == network)
        #expect(network.isHost == !people.contains("/"))
        #expect(network.isEverything == people.hasSuffix("/0"))
    }

    @Test(
        "text that is not a network is refused, with the text and what to do",
        arguments: [
            ("10.0.0.1/8", "\"10.0.0.1/8\" has host bits set: write 10.0.0.1 or 10.0.0.0/8."),
            ("2001:db8::1/64", "\"2001:db8::1/64\" has host bits set: write 2001:db8::1 or 2001:db8::/64."),
            ("10.0.0.0/33", "\"10.0.0.0/33\": the number after the slash can be at most 32."),
            ("::/129", "\"::/129\": the number after the slash can be at most 128."),
            (
                "::/99999999999999999999",
                "\"::/99999999999999999999\": the number after the slash can be at most 128."
            ),
            ("10.0.0.0/", "\"10.0.0.0/\" needs a number after the slash, as in 10.0.0.0/8."),
            ("10.0.0.0/ 8", "\"10.0.0.0/ 8\" needs a number after the slash, as in 10.0.0.0/8."),
            ("10.0.0.0/+8", "\"10.0.0.0/+8\" needs a number after the slash, as in 10.0.0.0/8."),
            ("10.0.0.0/8/8", "\"10.0.0.0/8/8\" needs a number after the slash, as in 10.0.0.0/8."),
            ("10.0.0.0/08", "\"10.0.0.0/08\" is ambiguous: write 8, not 08."),
            (
                "10.0.0.0/255.0.0.0",
                "\"10.0.0.0/255.0.0.0\" has a netmask; write a prefix length, as in 10.0.0.0/8."
            ),
            ("10.0.0.256/8", "\"10.0.0.256/8\" is not an address: 256 is more than 255."),
            ("/8", "\"/8\" is not an address; write it like 192.168.1.33 or 2001:db8::1."),
            ("fe80::%eth0/64", "\"fe80::%eth0/64\" contains an interface; remove the % and everything after it."),
            ("10.0.0.0/８", "\"10.0.0.0/\\u{ff18}\" has a character that is not allowed in an address; type it again."),
        ])
    func refusal(text: String, message: String) throws {
        let error = #expect(throws: AddressError.self) { try CIDR(parsing: text) }
        #expect(error?.message == message)
        #expect(error?.text == text)
    }

    @Test(
        "a source network is read; a network that cannot be a source is refused, with what to write instead",
        arguments: [
            ("192.168.1.33", nil), ("0.0.0.0/0", nil), ("::/0", nil), ("fe80::1", nil), ("::1", nil),
            ("240.0.0.1", nil),
            ("192.0.0.0/2", nil),
            ("::ffff:1.2.3.4", "\"::ffff:1.2.3.4\" is IPv4 written as IPv6; write 1.2.3.4."),
            ("::ffff:10.0.0.0/104", "\"::ffff:10.0.0.0/104\" is IPv4 written as IPv6; write 10.0.0.0/8."),
            ("::1.2.3.4", "\"::1.2.3.4\" is IPv4 written as IPv6; write 1.2.3.4."),
            ("0.0.0.0", "\"0.0.0.0\" is the unspecified address: no packet has it as its source."),
            ("::", "\"::\" is the unspecified address: no packet has it as its source."),
            (
                "255.255.255.255",
                "\"255.255.255.255\" is the broadcast address: no packet has it as its source."
            ),
            ("224.0.0.1", "\"224.0.0.1\" is a multicast address: no packet has it as its source."),
            ("ff02::/16", "\"ff02::/16\" is a multicast address: no packet has it as its source."),
        ])
    func sources(text: String, message: String?) {
        do throws(AddressError) {
            _ = try CIDR(source: text)
            #expect(message == nil)
        } catch {
            #expect(error.message == message)
            #expect(error.text == text)
        }
    }

    @Test(
        "a network contains its own addresses, not its neighbours', and never the other family's",
        arguments: [
            ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
            ("192.168.1.128/25", "192.168.1.127", false), ("192.168.1.128/25", "192.168.1.200", true),
            ("192.168.1.33", "192.168.1.33", true), ("192.168.1.33", "192.168.1.34", false),
            ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::/0", "1.2.3.4", false),
            ("2001:db8:5::/63", "2001:db8:5:1::1", true), ("2001:db8:5::/63", "2001:db8:5:2::1", false),
        ])
    func containment(network: String, address: String, inside: Bool) throws {
        let host = try IPAddress(parsing: address)
        #expect(try CIDR(parsing: network).contains(host) == inside)
        #expect(try CIDR(parsing: network).contains(CIDR(host)) == inside)
    }

    @Test("a smaller network does not contain a larger one")
    func nesting() throws {
        let large = try CIDR(parsing: "10.0.0.0/8")
        let small = try CIDR(parsing: "10.0.0.0/16")
        #expect(large.contains(small))
        #expect(!small.contains(large))
        #expect(large < small)
    }

    @Test("a network created in code has no host bits either")
    func built() throws {
        let address = try IPAddress(parsing: "10.1.2.3")
        #expect(throws: AddressError.hostBits("10.1.2.3/24", network: "10.1.2.0/24")) {
            try CIDR(address, prefixLength: 24)
        }
        #expect(throws: AddressError.prefixTooLong("10.1.2.3/-1", longest: 32)) {
            try CIDR(address, prefixLength: -1)
        }
    }
}
