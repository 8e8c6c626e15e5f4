import Netfilter
import Policy
import Rehearsal
import Testing

@Suite("A verdict")
struct VerdictTests {
    @Test("a connection that somebody's access depends on must be tested; a stranger's ping need not")
    func untested() throws {
        let plan = try TutorialPlan.plan()
        let expectations = plan.expectations(
            in: ExpectationContext(
                servers: StageAddresses.documentation.server, you: try IPAddress(parsing: "203.0.113.9"), yourPort: 22))
        func isAsPromised(_ isWanted: (PacketExpectation) -> Bool) throws -> Bool {
            let expectation = expectations.first(where: isWanted)
            return Verdict(try #require(expectation), .untested("silent")).isAsPromised
        }
        #expect(try !isAsPromised { $0.role == .you })
        #expect(try !isAsPromised { $0.role == .admin })
        #expect(try !isAsPromised { $0.role == .stranger && $0.packet == .tcp(22) })
        #expect(try isAsPromised { $0.role == .stranger && $0.packet == .ping })
        #expect(try isAsPromised { $0.packet == .packetTooBig })
    }
}
