import Composer
import Netfilter
import Policy
import Testing

@Suite("Long lists of addresses")
struct AddressSetTests {
    private func plan(_ answers: Answers) throws -> Plan {
        try Plan(answers: answers, catalog: TemplateCatalog.builtIn(), sshPorts: [22])
    }

    private func hosts(_ count: Int) throws -> [CIDR] {
        try (0..<count).map { try CIDR(parsing: "10.0.\($0 / 256).\($0 % 256)") }
    }

    private func inputRules(_ rules: RuleSet) -> [String] {
        (rules["filter"]?.rules(in: "INPUT") ?? []).map(\.text)
    }

    @Test("eight addresses become eight rules, nine become one lookup in a set")
    func threshold() throws {
        let composer = try Composer()
        for (count, rules, sets) in [(8, 8, 0), (9, 1, 1)] {
            let plan = try plan(Answers(admins: AddressList(hosts(count))))
            let composed = try composer.composeWithSets(plan, family: .ipv4)
            #expect(inputRules(composed.rules).count { $0.contains("latchkey: admins") } == rules)
            #expect(composed.sets.count == sets)
            // The other family has none of these addresses.
            let other = try composer.composeWithSets(plan, family: .ipv6)
            #expect(other.sets.isEmpty && !inputRules(other.rules).contains { $0.contains("admins") })
        }
    }

    @Test("admins, SSH and services use sets, and equal lists share one")
    func everywhere() throws {
        let list = AddressList(try hosts(9))
        let plan = try plan(
            Answers(
                admins: list,
                services: [ServiceChoice("web", from: .networks(list)), ServiceChoice("ipsec", from: .networks(list))],
                ssh: SSHAnswer(from: .networks(AddressList(try hosts(10))))))
        let composed = try Composer().composeWithSets(plan, family: .ipv4)
        #expect(composed.sets.count == 2)
        let names = Set(composed.sets.map(\.name))
        #expect(names.allSatisfy { $0.hasPrefix("latchkey-4-") && $0.utf8.count <= 31 })
        let looking = inputRules(composed.rules).filter { $0.contains("--match-set") }
        #expect(looking.count >= 4)
        #expect(looking.allSatisfy { rule in names.contains { rule.contains("-m set --match-set \($0) src ") } })
        #expect(looking.contains { $0.contains("-p esp ") })
    }

    @Test("the commands create the set; a network of all addresses is added as two halves")
    func commands() throws {
        let everything = try ["0.0.0.0/0"].map { try CIDR(parsing: $0) }
        let list = AddressList(try hosts(9))
        let sets = try Composer().composeWithSets(plan(Answers(admins: list)), family: .ipv4).sets
        let lines = try #require(sets.first).commands.split(separator: "\n")
        #expect(
            lines.first?.hasPrefix("create \(sets[0].name) hash:net family inet hashsize 1024 maxelem 65536") == true)
        #expect(lines.dropFirst().map(String.init) == (0..<9).map { "add \(sets[0].name) 10.0.0.\($0)" })
        let wide = AddressList(everything + (try hosts(9)))
        let halves = try Composer().composeWithSets(plan(Answers(admins: wide)), family: .ipv4).sets[0]
        #expect(
            halves.commands.split(separator: "\n").dropFirst().map { $0.split(separator: " ")[2] } == [
                "0.0.0.0/1", "128.0.0.0/1",
            ])
    }

    @Test("without sets 200 addresses become rules, and more are refused")
    func withoutSets() throws {
        let composer = try Composer(usesSets: false)
        let most = try plan(Answers(admins: AddressList(hosts(200))))
        #expect(try inputRules(composer.compose(most, family: .ipv4)).count { $0.contains("latchkey: admins") } == 200)
        let more = try plan(Answers(admins: AddressList(hosts(201))))
        #expect(throws: ComposerError.needsSets(201)) { try composer.compose(more, family: .ipv4) }
    }
}
