import Testing

@testable import Commands

@Suite("What latchkey says before its firewall goes off")
struct OffEffectsTests {
    private static let effects = OffEffects(
        isActive: true, listeners: ["sshd 22/tcp", "nginx 80/tcp"], others: [], unknownRules: 0, backends: [])

    @Test("every listener can be reached by everyone")
    func open() {
        #expect(
            Self.effects.sentences == [
                "latchkey's firewall goes off: every port where a program listens can be reached by everyone: "
                    + "sshd 22/tcp, nginx 80/tcp."
            ])
    }

    @Test("rules that stay are named, because they may still block something")
    func others() {
        var effects = Self.effects
        effects.others = ["docker", "nft table inet firewalld"]
        effects.unknownRules = 2
        effects.backends = ["iptables-legacy"]
        #expect(effects.sentences.first?.contains("by everyone, as far as other rules allow: sshd") == true)
        #expect(
            effects.sentences.dropFirst() == [
                "The rules of other programs stay: docker, nft table inet firewalld.",
                "Rules in INPUT that belong to no known program stay too: 2.",
                "Rules of latchkey's are also in iptables-legacy. To remove them as well, run \"latchkey off\" again "
                    + "afterwards.",
            ])
    }

    @Test("leftovers for boot are named as such")
    func leftovers() {
        var effects = Self.effects
        effects.isActive = false
        #expect(effects.sentences == ["No rules of latchkey's are active. What loads them at boot is removed."])
    }
}
