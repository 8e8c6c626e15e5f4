import Foundation
import Glibc
import Netfilter
import Policy
import TestSupport
import Testing

@Suite("The effects of a plan on running services")
struct PlanEffectsTests {
    private func effects(_ answers: Answers) throws -> PlanEffects {
        let plan = try Plan(answers: answers, catalog: try TemplateCatalog.builtIn(), sshPorts: [22])
        let peer = try IPAddress(parsing: "198.51.100.44")
        return plan.effects(
            on: [
                PlanEffects.Listener(program: "sshd", port: 22, transport: .tcp, peers: [peer]),
                PlanEffects.Listener(program: "node", port: 3000, transport: .tcp, peers: [peer]),
                PlanEffects.Listener(program: nil, port: 53, transport: .udp),
            ], published: [PublishedPort(try PortSpec(parsing: "8080/tcp"), to: "172.17.0.2:80")])
    }

    @Test("a listener that the answers do not allow is blocked, and so are its connected clients")
    func cutOff() throws {
        let effects = try effects(Answers(admins: [CIDR(parsing: "192.168.1.33")]))
        #expect(effects.cutOff.map(\.listener.title) == ["node 3000/tcp", "53/udp"])
        #expect(effects.cutOff.allSatisfy { $0.remaining.map(\.description) == ["192.168.1.33"] })
        #expect(effects.peers.map(\.listener.port) == [3000])
        #expect(effects.sentences.contains { $0.contains("8080/tcp bypasses these rules and goes to 172.17.0.2:80") })
    }

    @Test("published ports: open as Docker has it, or as the answers say, with the container's name")
    func published() throws {
        func sentences(_ answers: Answers, _ port: PublishedPort) throws -> [String] {
            let plan = try Plan(answers: answers, catalog: try TemplateCatalog.builtIn(), sshPorts: [22])
            return plan.effects(on: [], published: [port]) { _ in "web" }.sentences
        }
        let port = PublishedPort(try PortSpec(parsing: "8080/tcp"), to: "172.17.0.2:80")
        var answers = Answers(admins: [try CIDR(parsing: "192.168.1.33")])
        #expect(
            try sentences(answers, port) == [
                "8080/tcp (container web) bypasses these rules and goes to 172.17.0.2:80: open to everyone, as Docker has it."
            ])
        answers.docker = .answers
        #expect(
            try sentences(answers, port) == [
                "8080/tcp (container web) goes to 172.17.0.2:80: your answers allow only 192.168.1.33."
            ])
        answers.ports = [PortChoice(try PortSpec(parsing: "8000-8100/tcp"))]
        #expect(
            try sentences(answers, port) == [
                "8080/tcp (container web) goes to 172.17.0.2:80: open to everyone, as your answers say."
            ])
        // SSH is about the server itself.
        let other = PublishedPort(try PortSpec(parsing: "22/tcp"), to: "172.17.0.2:22")
        answers.admins = []
        #expect(
            try sentences(answers, other) == [
                "22/tcp (container web) goes to 172.17.0.2:22: your answers block it."
            ])
        let local = PublishedPort(
            try PortSpec(parsing: "8080/tcp"), on: try CIDR(parsing: "127.0.0.1"), to: "172.17.0.2:80")
        #expect(
            try sentences(Answers(), local) == [
                "8080/tcp on 127.0.0.1 (container web) goes to 172.17.0.2:80: only this machine can reach it."
            ])
    }

    @Test("limits count: clients outside them are blocked, clients inside are not")
    func limits() throws {
        var answers = Answers(ports: [
            PortChoice(try PortSpec(parsing: "3000/tcp")), PortChoice(try PortSpec(parsing: "53/udp")),
        ])
        answers.ssh = SSHAnswer(from: .networks([try CIDR(parsing: "198.51.100.0/24")]))
        let inside = try effects(answers)
        #expect(inside.cutOff.map(\.listener.port) == [22])
        #expect(inside.peers.isEmpty)
        answers.ssh = SSHAnswer(from: .networks([try CIDR(parsing: "198.51.100.0/27")]))
        #expect(try effects(answers).peers.map(\.address.description) == ["198.51.100.44"])
    }
}

@Suite("latchkey plan --effects", .kernel, .inTurn)
struct PlanEffectsCommandTests {
    private struct Report: Decodable {
        struct Door: Decodable { let port: String }
        let cutOff: [Door]
        let published: [Door]
    }

    private func report(_ machine: NetworkNamespace) async throws -> Report {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: []\n", to: "answers.yaml")
        let finished = try await Latchkey.run(
            ["plan", "--effects", "--json", "--answers", file],
            root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
        return try JSONDecoder().decode(Report.self, from: Data(finished.stdout))
    }

    @Test("listeners in the range of client ports are reported: TCP, and UDP ports that identify a service")
    func listeners() async throws {
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let request = "{\"listen\":{\"addresses\":[\"0.0.0.0\"],\"tcp\":[50000],\"udp\":[51820,45000]}}"
        let line = "(echo '\(request)'; sleep 20) | '\(Latchkey.path)' probe-agent"
        let child = try machine.start(["sh", "-c", line])
        defer { kill(child.id, SIGKILL) }
        let found = try await eventually {
            let doors = try await report(machine).cutOff.map(\.port)
            return doors.isEmpty ? nil : doors
        }
        #expect(found == ["50000/tcp", "51820/udp"])
    }

    @Test("ports redirected past INPUT are reported: several in a rule, and all ports")
    func published() async throws {
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let rules = """
            *nat
            -A PREROUTING -p tcp -m multiport --dports 9001,9002 -j DNAT --to-destination 172.17.0.2
            -A PREROUTING -d 198.51.100.9/32 -p udp -j DNAT --to-destination 172.17.0.3
            -A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.4:80
            -A OUTPUT -d 198.51.100.8/32 -p tcp -j DNAT --to-destination 172.17.0.5
            COMMIT

            """
        try await machine.restore(rules, .ipv4, TestBackend.installed[0])
        #expect(
            try await report(machine).published.map(\.port) == ["9001/tcp", "9002/tcp", "1-65535/udp", "8080/tcp"])
    }
}
