import Host
import Logging
import Netfilter
import Rehearsal
import SafeApply
import TestSupport
import Testing

/// Compares, packet by packet, generated rules as a trial, as permanent rules and after a plain iptables-restore.
@Suite("The trial against packets", .kernel, .inTurn)
struct TrialPacketTests {
    @Test(
        "a trial treats every packet as the kept rules do, with any previous rules",
        arguments: TestBackend.installed, [UInt64(1), 2])
    func decides(backend: TestBackend, seed: UInt64) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        let ports = Array(UInt16(3_000)..<3_012)
        try await stage.listen(in: .server, tcp: ports, udp: ports)
        let sources = [try Scene.admin(.ipv4), try Scene.stranger(.ipv4)]
        let server = try Scene.server(.ipv4)
        let probes = sources.flatMap { source in
            ports.flatMap {
                [Probe(.tcp, from: source, to: server, port: $0), Probe(.udp, from: source, to: server, port: $0)]
            }
        }
        var random = SeededNumbers(seed: seed)
        var outcomes: Set<Bool> = []
        for round in 0..<12 {
            let previous = GeneratedRules.filter(sources, ports, &random)
            // Every other time only a part is new: a chain that stays the same has no gate.
            let plan = round % 2 == 0 ? GeneratedRules.filter(sources, ports, &random) : previous + GeneratedRules.nat
            try await stage.load(previous, .ipv4, backend)
            var environment = ChangeEnvironment.system(
                Layout(root: nil), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            environment.runner = StageRunner(stage)
            environment.families = [.ipv4]
            let request = ChangeRequest(
                id: "test", scope: .tables, rules: PerFamily(ipv4: plan), backend: backend.forHost, deadlineSeconds: 60,
                requester: Requester(user: "", address: nil), sshPorts: [], admins: [], answers: nil, persists: false)
            var change = try await RehearsedChange(request, in: environment)
            try await change.activateTrial()
            let pending = try await stage.probe(probes, from: .outside, patience: .milliseconds(100)).map(\.isAccepted)
            try await change.makePermanent()
            let kept = try await stage.probe(probes, from: .outside, patience: .milliseconds(100)).map(\.isAccepted)
            let dump = try await stage.run([backend.tool(.ipv4, "save")])
            #expect(!dump.contains("latchkey: trial"), "nothing of the trial is left")
            try await stage.load(plan, .ipv4, backend)
            let plain = try await stage.probe(probes, from: .outside, patience: .milliseconds(100)).map(\.isAccepted)
            let odd = probes.indices.filter { pending[$0] != plain[$0] || kept[$0] != plain[$0] }
            #expect(odd.isEmpty, "\(odd.map { "\(probes[$0])" })\nbefore:\n\(previous)\nplan:\n\(plan)\nkept:\n\(dump)")
            outcomes.formUnion(plain)
            try await stage.load("*filter\nCOMMIT\n*nat\nCOMMIT\n", .ipv4, backend)
        }
        #expect(outcomes == [true, false], "the rules did something")
    }
}

extension TestBackend {
    var forHost: Backend { self == .nft ? .nft : .legacy }
}

/// Rule sets with user chains, jumps, gotos and returns.
enum GeneratedRules {
    /// They include a name that latchkey itself would use, and one of the maximum length.
    private static let chains = ["one", "latchkey-trial-1", "a-name-of-twenty-eight-bytes"]

    static let nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o wg0 -j MASQUERADE\nCOMMIT\n"

    static func filter(_ sources: [IPAddress], _ ports: [UInt16], _ random: inout SeededNumbers) -> String {
        let policy = Bool.random(using: &random) ? "ACCEPT" : "DROP"
        var lines = ["*filter", ":INPUT \(policy) [0:0]"] + chains.map { ":\($0) - [0:0]" }
        for (level, chain) in (["INPUT"] + chains).enumerated() {
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                // Jumps lead to later chains only: the kernel refuses a loop.
                let targets = Array(chains[min(level, chains.count)...])
                lines.append("-A \(chain) \(match(sources, ports, &random))\(target(targets, &random))")
            }
        }
        return (lines + ["COMMIT"]).joined(separator: "\n") + "\n"
    }

    private static func match(_ sources: [IPAddress], _ ports: [UInt16], _ random: inout SeededNumbers) -> String {
        var text = ""
        if Int.random(in: 0..<3, using: &random) == 0, let source = sources.randomElement(using: &random) {
            text += "-s \(source)/32 "
        }
        let transport = Bool.random(using: &random) ? "tcp" : "udp"
        let low = ports.randomElement(using: &random) ?? 3_000
        switch Int.random(in: 0..<4, using: &random) {
        case 0: break
        case 1: text += "-p \(transport) "
        case 2: text += "-p \(transport) -m \(transport) --dport \(low) "
        default: text += "-p \(transport) -m \(transport) --dport \(low):\(low + 4) "
        }
        return text
    }

    private static func target(_ chains: [String], _ random: inout SeededNumbers) -> String {
        let choices = ["-j ACCEPT", "-j DROP", "-j RETURN", ""] + chains.flatMap { ["-j \($0)", "-g \($0)"] }
        return choices.randomElement(using: &random) ?? ""
    }
}
