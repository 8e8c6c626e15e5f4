import TestSupport
import Testing

extension NFTablesTests {
    @Test(
        "a policy of DROP from before the kept rules does not stay alone when they go to nftables",
        arguments: TestBackend.installed)
    func policyBeforeSwitching(backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            for family in IPFamily.allCases { try await machine.iptables("-P INPUT DROP", family) }
            let iptables = try machine.root.write(
                "version: 1\nadmins: []\nssh: { ports: [2200], from: everyone }\nexisting: keep\n", to: "iptables.yaml")
            Self.expectDone(
                try await Latchkey.run(
                    [
                        "apply", "--answers", iptables, "--no-rehearsal", "--detach", "--deadline", "5m", "--backend",
                        backend.rawValue,
                    ], root: machine.root, in: machine.namespace, timeout: .seconds(90)))
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectEarlier(from: outside)
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            try await Self.expectNew(from: outside)
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectNew(from: outside)
        }
    }
}
