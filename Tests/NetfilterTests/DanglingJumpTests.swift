import Testing

@testable import Netfilter

@Suite("Jumps to missing chains")
struct DanglingJumpTests {
    @Test(
        "a jump to a missing chain is reported with line and name, in any table and any spelling",
        arguments: [
            (3, "gone", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j gone\nCOMMIT\n"),
            (6, "other", "# note\n*raw\nCOMMIT\n*filter\n:others - [0:0]\n-A INPUT -i lo -g other\nCOMMIT\n"),
            (3, "NOSUCH", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j NOSUCH\nCOMMIT\n"),
            (4, "DOCKER-USER", "*filter\n:INPUT ACCEPT [0:0]\n\n-I INPUT 1 -i eth0 -j DOCKER-USER\nCOMMIT\n"),
            (5, "here", "*nat\n:here - [0:0]\nCOMMIT\n*filter\n-A INPUT --jump here\nCOMMIT\n"),
        ])
    func told(line: Int, name: String, text: String) throws {
        let set = try RuleSet(parsing: text, file: "mine")
        let error = #expect(throws: RuleSetError.self) { try set.requireChains(file: "mine") }
        #expect(error == RuleSetError(file: "mine", line: line, text: name, problem: .danglingJump))
    }

    @Test(
        "a declared chain, a new one, a verdict and an extension are not reported",
        arguments: [
            ":doors - [0:0]\n-A INPUT -j doors", "-N doors\n-A INPUT -g doors", "--new doors\n-A INPUT -j doors",
            ":old - [0:0]\n-E old doors\n-A INPUT -j doors",
            ":old - [0:0]\n--rename-chain old doors\n-A INPUT -j doors",
            "-A INPUT -j ACCEPT",
            "-A INPUT -p tcp -j TARPIT", "-A INPUT -j NFLOG --nflog-group 1",
            "-I INPUT -j LOG", "-R INPUT 1 -p tcp -j MINE --with-options 1", "-D INPUT -j gone",
        ])
    func passes(lines: String) throws {
        try RuleSet(parsing: "*filter\n\(lines)\nCOMMIT\n", file: "mine").requireChains(file: "mine")
    }
}
