import TestSupport
import Testing

@Suite("The printed plan", .kernel, .inTurn)
struct PlanOutputTests {
    @Test("it loads into the kernel and is dumped byte for byte", arguments: Case.all)
    func loads(_ test: Case) async throws {
        let root = try TemporaryFolder()
        let answers = """
            version: 1
            admins: [192.168.1.33, 10.20.0.0/16, "2001:db8:5::/64"]
            services:
              - ssh
              - web
              - dns
              - samba
              - wireguard
              - { name: mail, from: [192.168.1.0/24, "2001:db8:1::/48"] }
            ports: [8080/tcp, 60000-61000/udp]
            ping: limited
            ssh: { ports: [22, 2222], from: admins }
            log: true
            existing: \(test.existing.rawValue)

            """
        try root.write(answers, to: "answers.yaml")
        let namespace = try await NetworkNamespace()
        defer { namespace.close() }
        for family in IPFamily.allCases {
            let words = ["plan", "--answers", "\(root.path)/answers.yaml", "--family", family.rawValue]
            let plan = try await Latchkey.run(words, root: root)
            #expect(plan.status == 0, "\(plan.errors)")
            try await namespace.restore(plan.output, family, test.backend)
            let dump = try await namespace.dump(family, test.backend)
            let printed = Dump.withoutCounters(plan.output)
            switch test.existing {
            case .replace:
                for table in ["filter", "nat"] {
                    #expect(EarlierRules.table(table, of: printed) != "")
                    #expect(EarlierRules.table(table, of: dump) == EarlierRules.table(table, of: printed))
                }
            case .keep:
                let rules = EarlierRules.chain("INPUT", in: "filter", of: printed)
                #expect(rules.count >= 9)
                #expect(EarlierRules.chain("INPUT", in: "filter", of: dump) == rules)
                #expect(rules.last?.contains("latchkey: drop all else") == true)
                #expect(dump.contains(":INPUT ACCEPT") && printed.contains(":INPUT ACCEPT"))
            }
            #expect(
                printed.split(separator: "\n").filter { $0.hasPrefix("-A") }.allSatisfy { $0.contains("latchkey: ") })
        }
    }
}
