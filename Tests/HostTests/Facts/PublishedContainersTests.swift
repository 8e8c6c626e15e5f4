import Netfilter
import Testing

@testable import Host

@Suite("Names of containers by published port")
struct PublishedContainersTests {
    private static let docker = """
        web\t0.0.0.0:8080->80/tcp, [::]:8080->80/tcp
        old\t0.0.0.0:5353->53/udp, :::5353->53/udp, 9000/tcp
        game\t0.0.0.0:7000-7010->7000-7010/tcp
        inside\t6379/tcp
        none\t

        """

    private func name(_ port: String) throws -> String? {
        PublishedContainers(listings: [Self.docker]).name(
            of: PublishedPort(try PortSpec(parsing: port), to: "172.17.0.2:80"))
    }

    @Test("docker ps and podman ps: single ports, ranges, both families")
    func names() throws {
        #expect(try name("8080/tcp") == "web")
        #expect(try name("8080/udp") == nil)
        #expect(try name("5353/udp") == "old")
        #expect(try name("7004/tcp") == "game")
        #expect(try name("9000/tcp") == nil)
        #expect(try name("6379/tcp") == nil)
    }
}
