import Netfilter
import Policy
import Testing

@Suite("What a plan changes for what runs here")
struct PlanEffectsTests {
    private func effects(_ answers: Answers) throws -> PlanEffects {
        let plan = try Plan(answers: answers, catalog: try TemplateCatalog.builtIn(), sshPorts: [22])
        let peer = try IPAddress(parsing: "198.51.100.44")
        return plan.effects(
            on: [
                PlanEffects.Listener(program: "sshd", port: 22, transport: .tcp, peers: [peer]),
                PlanEffects.Listener(program: "node", port: 3000, transport: .tcp, peers: [peer]),
                PlanEffects.Listener(program: nil, port: 53, transport: .udp),
            ], published: [PlanEffects.Published(try PortSpec(parsing: "8080/tcp"), to: "172.17.0.2:80")])
    }

    @Test("a listener that the answers do not name is cut off, and so is who is connected to it")
    func cutOff() throws {
        let effects = try effects(Answers(admins: [CIDR(parsing: "192.168.1.33")]))
        #expect(effects.cutOff.map(\.listener.title) == ["node 3000/tcp", "53/udp"])
        #expect(effects.cutOff.allSatisfy { $0.remaining.map(\.description) == ["192.168.1.33"] })
        #expect(effects.peers.map(\.listener.port) == [3000])
        #expect(effects.sentences.contains { $0.contains("8080/tcp goes past these rules, to 172.17.0.2:80") })
    }

    @Test("limits count: who is outside them is cut off, who is inside is not")
    func limits() throws {
        var answers = Answers(ports: [try PortSpec(parsing: "3000/tcp"), try PortSpec(parsing: "53/udp")])
        answers.ssh = SSHAnswer(from: .networks([try CIDR(parsing: "198.51.100.0/24")]))
        let inside = try effects(answers)
        #expect(inside.cutOff.map(\.listener.port) == [22])
        #expect(inside.peers.isEmpty)
        answers.ssh = SSHAnswer(from: .networks([try CIDR(parsing: "198.51.100.0/27")]))
        #expect(try effects(answers).peers.map(\.address.description) == ["198.51.100.44"])
    }
}
