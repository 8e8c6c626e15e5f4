import Netfilter
import Policy
import Rehearsal
import Testing

@testable import Commands

/// What a difference about a published port leads to: a refusal, or a note.
@Suite("A difference about a published port")
struct PublishedRefusalTests {
    private static let mark = "-m comment --comment \"latchkey: published ports\""
    private static let drop = "-A latchkey-docker \(mark) -j DROP"
    private static let entry = "-A FORWARD \(mark) -j latchkey-docker"
    private static let othersAccept = "-A ts-forward -i tailscale0 -j ACCEPT"
    private static let othersDrop = "-A DOCKER-USER -j DROP"

    private static func decision(_ rule: String) throws -> CounterDifference.Decision {
        .rule(CountedRule(try Rule(parsing: rule), table: "filter"))
    }

    /// The verdicts on packets to port 8080 of a container.
    private func verdicts() throws -> [Verdict] {
        let catalog = try TemplateCatalog.builtIn()
        let text = "version: 1\nadmins: [192.168.1.33]\ndocker: answers\n"
        let plan = try Plan(
            answers: AnswersFile.parse(text, file: "answers", catalog: catalog), catalog: catalog, sshPorts: [22],
            interfaces: [])
        let port = PublishedPort(PortSpec(range: PortRange(8080), transport: .tcp), to: "172.17.0.2:80")
        let expectations = plan.publishedExpectations(
            [port], in: ExpectationContext(servers: StageAddresses.documentation.server))
        return try expectations.filter { $0.direction == .in }.map { expectation in
            try Verdict(
                expectation, expectation.isAccepted ? .accepted : .dropped,
                decision: expectation.isAccepted ? nil : Self.decision(Self.drop))
        }
    }

    private func result(_ verdicts: [Verdict]) -> RehearsalResult {
        RehearsalResult(verdicts: verdicts, pending: verdicts, milliseconds: 1, notes: [])
    }

    /// The verdicts with another observation for the packets of a role.
    private func changed(
        _ role: Policy.Expectation.Role, _ observation: Verdict.Observation, _ decision: CounterDifference.Decision?,
        all: Bool = false
    ) throws -> [Verdict] {
        var isFirst = true
        return try verdicts().map { verdict in
            guard verdict.expectation.role == role, all || isFirst else { return verdict }
            isFirst = false
            return Verdict(verdict.expectation, observation, decision: decision)
        }
    }

    @Test("none is no refusal")
    func none() throws {
        #expect(result(try verdicts()).refusal == nil)
    }

    @Test("latchkey's own rule that drops too much, or lets through what it should drop, is refused")
    func own() throws {
        for (role, observation, rule) in [
            (Policy.Expectation.Role.admin, Verdict.Observation.dropped, Self.drop), (.stranger, .accepted, Self.entry),
        ] {
            let refusal = try #require(result(try changed(role, observation, Self.decision(rule))).refusal)
            #expect(refusal.status == .refused)
            #expect(refusal.what.contains("8080/tcp (published, to 172.17.0.2:80)"))
        }
    }

    @Test("another program's rule ahead of latchkey's is shown, not refused")
    func others() throws {
        for (role, observation, rule) in [
            (Policy.Expectation.Role.admin, Verdict.Observation.dropped, Self.othersDrop),
            (.stranger, .accepted, Self.othersAccept),
        ] {
            let result = result(try changed(role, observation, Self.decision(rule)))
            #expect(result.refusal == nil)
            #expect(result.otherProgramsNotes.count == 1)
        }
        // A packet that no rule counted as dropped was not dropped by latchkey.
        let silent = result(try changed(.admin, .dropped, nil))
        #expect(silent.refusal == nil)
        #expect(silent.otherProgramsNotes.count == 1)
    }

    @Test("where no rule of latchkey's decides about any packet, the promise is broken")
    func void() throws {
        let result = result(try changed(.stranger, .accepted, Self.decision(Self.othersAccept), all: true))
        #expect(result.refusal?.status == .refused)
    }
}
