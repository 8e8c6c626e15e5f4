import Import
import Netfilter
import Testing

@Suite("Sets of ports and traffic")
struct PortSetTests {
    private func set(_ texts: String...) throws -> PortSet { PortSet(try texts.map { try PortRange(parsing: $0) }) }

    @Test("intersection, union and difference are those of sets")
    func algebra() throws {
        let some = try set("10-20", "30-40")
        let others = try set("15-35")
        #expect(some.intersection(others) == (try set("15-20", "30-35")))
        #expect(some.union(others) == (try set("10-40")))
        #expect(some.subtracting(others) == (try set("10-14", "36-40")))
        #expect(others.subtracting(some) == (try set("21-29")))
    }

    @Test("the complement of a set with the first and the last port has neither")
    func complement() throws {
        #expect(PortSet.all.complement == .none)
        #expect(PortSet.none.complement == .all)
        #expect((try set("1-21", "23-65535")).complement == (try set("22")))
    }

    @Test("traffic says what it is")
    func text() throws {
        let traffic = Traffic([try PortSpec(parsing: "443/udp"), try PortSpec(parsing: "80/tcp")]).union(.ping)
        #expect("\(traffic)" == "80/tcp, 443/udp, ping")
        #expect("\(Traffic.all)" == "everything")
        #expect(Traffic.all.subtracting(traffic).contains(try PortSpec(parsing: "80/tcp")) == false)
    }
}
