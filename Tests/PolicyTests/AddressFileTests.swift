import Netfilter
import Policy
import Testing

@Suite("Files of addresses")
struct AddressFileTests {
    private func read(_ text: String) throws(DataErrors) -> AddressFile {
        try AddressFile(Array(text.utf8), path: "/etc/latchkey/admins.txt")
    }

    private func lines(_ text: String) -> [String] {
        do {
            _ = try read(text)
            return []
        } catch {
            return error.description.split(separator: "\n").map(String.init)
        }
    }

    @Test("one address or network per line, with comments, blank lines and any line ending")
    func plain() throws {
        let file = try read("\u{feff}# office\n192.168.1.33\r\n\n  10.0.0.0/8  # all of it\n2001:db8:5::/64")
        #expect(file.networks.map(\.description) == ["10.0.0.0/8", "192.168.1.33", "2001:db8:5::/64"])
        #expect(file.count == 3)
    }

    @Test("overlapping networks are merged, and every line is counted")
    func overlapping() throws {
        let file = try read("10.1.2.3\n10.0.0.0/8\n10.1.0.0/16\n10.1.2.3\n11.0.0.1\n2001:db8::/32\n2001:db8::1\n")
        #expect(file.networks.map(\.description) == ["10.0.0.0/8", "11.0.0.1", "2001:db8::/32"])
        #expect(file.count == 7)
    }

    @Test("a long list is represented by its ends, and by the same networks each time")
    func sample() throws {
        let list = AddressList(files: [try read((0..<5_000).map { "10.0.\($0 / 250).\($0 % 250)\n" }.joined())])
        let sample = list.sample(.ipv4)
        #expect(sample.count == 16 && Set(sample).count == 16)
        #expect(sample.first == list.all.first && sample.last == list.all.last)
        #expect(sample == sample.sorted() && sample == list.sample(.ipv4))
        #expect(list.sample(.ipv6).isEmpty)
        let other = AddressList(files: [try read((0..<5_000).map { "10.1.\($0 / 250).\($0 % 250)\n" }.joined())])
        let places = [list, other].map { list in list.sample(.ipv4).compactMap { list.all.firstIndex(of: $0) } }
        #expect(places[0] != places[1], "other places in another list")
    }

    @Test("answers say how many addresses were merged, for each list from files")
    func merged() throws {
        let file = try read("10.1.2.3\n10.0.0.0/8\n11.0.0.1\n")
        let network = try CIDR(parsing: "11.0.0.0/24")
        let overlapping = AddressList([network], files: [file])
        let plain = AddressList(files: [try read("11.0.0.1\n11.0.0.2\n")])
        #expect(overlapping.count == 4 && overlapping.mergedCount == 2)
        #expect(plain.mergedCount == 0)
        var answers = Answers(
            admins: overlapping, services: [ServiceChoice("web", from: .networks(AddressList(files: [file])))],
            ssh: SSHAnswer(from: .networks(plain)))
        #expect(
            answers.mergedAddressNotes == [
                "admins: 2 of 4 addresses and networks are inside others of the list and were merged with them.",
                "web: 1 of 3 addresses and networks is inside another one of the list and was merged with it.",
            ])
        // Without a file, the person sees the whole list.
        answers = Answers(admins: [network, try CIDR(parsing: "11.0.0.1")])
        #expect(answers.mergedAddressNotes.isEmpty)
    }

    @Test("every mistake is reported with its line")
    func mistakes() {
        let found = lines("192.168.1.33\n192.168.1.300\n10.0.0.1/8\n\n::ffff:1.2.3.4\nhost\n")
        #expect(found.map { $0.prefix { $0 != " " } } == [2, 3, 5, 6].map { "/etc/latchkey/admins.txt:\($0):" })
        #expect(found[0].contains("\"192.168.1.300\" is not an address: 300 is more than 255."))
    }

    @Test("the first 20 mistakes are reported in full, the others are counted")
    func manyMistakes() {
        let found = lines(String(repeating: "x\n", count: 25))
        #expect(found.count == 21)
        #expect(found.last == "/etc/latchkey/admins.txt:26: 5 more lines have mistakes.")
    }

    @Test("a mistake far down is found, and the limit is a million lines")
    func longFile() {
        let blank = String(repeating: "\n", count: 734_111)
        #expect(lines(blank + "10.0.0\n").map { $0.prefix { $0 != " " } } == ["/etc/latchkey/admins.txt:734112:"])
        let full = "192.0.2.1" + String(repeating: "\n", count: 1_000_000)
        #expect(lines(full).isEmpty)
        #expect(lines(full + "192.0.2.1\n").first?.contains("more than 1000000 lines") == true)
    }

    @Test("an empty file, one with only comments, and a megabyte on one line are refused")
    func noAddresses() {
        #expect(
            lines("").first == "/etc/latchkey/admins.txt:1: The file has no address. "
                + "Write one address or network on each line.")
        #expect(lines("# nobody\n").count == 1)
        let long = lines(String(repeating: "1", count: 1 << 20))
        #expect(long.count == 1 && (long.first?.utf8.count ?? 0) < 200)
    }
}
