import Foundation
import TestSupport
import Testing

@Suite("Hand-written rules", .kernel, .inTurn)
struct HandWrittenTests {
    private static let four = """
        # What the old firewall script did.
        *nat
        :PREROUTING ACCEPT
        # Port 8000 goes to the application.
        -A PREROUTING -p tcp --dport 8000 -j REDIRECT --to-ports 8080
        COMMIT

        *filter
        -P INPUT DROP
        :FORWARD DROP [0:0]
        :doors - [0:0]
        -A INPUT -i lo -j ACCEPT
        -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
        -A INPUT -p tcp --syn -j doors
        -A doors -p tcp --dport ssh -j ACCEPT -m comment --comment "the front door"
        -A doors -p tcp --dport 80:81 -j ACCEPT
        COMMIT

        """
    private static let six = "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n"

    @Test("rules that use the list of a gate are refused with their line", arguments: TestBackend.installed)
    func gateList(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let before = try await machine.rules()
            let four = Self.four.replacing(
                "-A INPUT -i lo", with: "-A INPUT -m recent --name latchkey4 --set\n-A INPUT -i lo")
            let finished = try await Latchkey.run(
                try self.words(on: machine, four: four, six: Self.six), root: machine.root, in: machine.namespace)
            #expect(finished.status == 65, "\(finished.errors)")
            #expect(finished.errors.contains("four.rules:12:"), "\(finished.errors)")
            #expect(finished.errors.contains("\"latchkey4\""), "\(finished.errors)")
            #expect(try await machine.rules() == before)
        }
    }

    @Test("they are applied as written, and reverted", arguments: TestBackend.installed)
    func reverted(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let before = try await machine.rules()
            let words = try self.words(on: machine, four: Self.four, six: Self.six)
            let applied = try await Latchkey.run(words, root: machine.root, in: machine.namespace)
            #expect(applied.status == 0, "\(applied.errors)")
            try await machine.expectPending(on: before)
            let four = try await machine.dump(.ipv4)
            #expect(EarlierRules.chain("latchkey-trial-1", in: "filter", of: four).count == 2)
            #expect(EarlierRules.chain("doors", in: "filter", of: four) == [])
            for table in ["mangle", "raw"] {
                #expect(EarlierRules.table(table, of: four) == EarlierRules.table(table, of: before))
            }
            #expect(try await machine.latchkey("revert").status == 0)
            try await machine.expectBack(before)
        }
    }

    @Test("after keeping, they are active as iptables prints them, without a gate", arguments: TestBackend.installed)
    func kept(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let words = try self.words(on: machine, four: Self.four, six: Self.six)
            let reference = try await NetworkNamespace()
            defer { reference.close() }
            try await reference.restore(Self.four, .ipv4, backend)
            try await reference.restore(Self.six, .ipv6, backend)
            #expect(try await Latchkey.run(words, root: machine.root, in: machine.namespace).status == 0)
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 0 && !confirmed.errors.contains("answers"))
            for family in IPFamily.allCases {
                let live = EarlierRules.table("filter", of: try await machine.dump(family))
                let wanted = EarlierRules.table("filter", of: try await reference.dump(family, backend))
                #expect(live == wanted)
            }
            #expect(try await machine.status().truth("drift") == false)

            // The previously kept answers no longer match the active rules.
            try await machine.begin(.replace)
            #expect(try await machine.latchkey("confirm").errors.contains("earlier change") == false)
            #expect(try await Latchkey.run(words, root: machine.root, in: machine.namespace).status == 0)
            let again = try await machine.latchkey("confirm").errors.replacing("\n  ", with: " ")
            #expect(again.contains("/etc/latchkey/answers.yaml contains the answers of an earlier change"), "\(again)")
        }
    }

    @Test(
        "changes by another program to the pending rules are reported at the confirmation, and undone",
        arguments: TestBackend.installed)
    func changedMeanwhile(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let four =
                "*filter\n:f2b - [0:0]\n-A INPUT -j f2b\n-A f2b -s 203.0.113.5 -j DROP\n-A f2b -j RETURN\nCOMMIT\n"
            let words = try self.words(on: machine, four: four, six: Self.six)
            #expect(try await Latchkey.run(words, root: machine.root, in: machine.namespace).status == 0)
            try await machine.iptables("-D latchkey-trial-1 -s 203.0.113.5 -j DROP")
            #expect(try await machine.status().truth("drift") == true)
            let refused = try await machine.latchkey("confirm")
            #expect(refused.status == 7, "\(refused.errors)")
            #expect(try await machine.status().truth("drift") == false)
            #expect(try await machine.latchkey("confirm").status == 0)
            let kept = EarlierRules.chain("f2b", in: "filter", of: try await machine.dump(.ipv4))
            #expect(kept == ["-A f2b -s 203.0.113.5/32 -j DROP", "-A f2b -j RETURN"])
        }
    }

    @Test("without --rules6 IPv6 is left alone", arguments: TestBackend.installed)
    func oneFamily(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let six = try await machine.dump(.ipv6)
            let path = try machine.root.write(Self.four, to: "four.rules")
            let applied = try await machine.latchkey(
                "apply", "--rules", path, "--detach", "--no-rehearsal", "--backend", backend.rawValue)
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(try await machine.dump(.ipv6) == six)
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await machine.dump(.ipv6) == six)
        }
    }

    @Test(
        "invalid rules exit with 65, with file and line, and nothing is changed",
        arguments: [
            (4, "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 99999 -j ACCEPT\nCOMMIT\n"),
            (3, "*filter\n:INPUT DROP\n-A INPUT -p tcp -j NOSUCHTARGET\nCOMMIT\n"),
            (3, "# one\n*filter\n-A INPUT -m nosuchmatch -j ACCEPT\nCOMMIT\n"),
            (2, "*filter\nthis is no rule\nCOMMIT\n"),
            (5, "*mangle\n-A INPUT -j MARK --set-mark 1\nCOMMIT\n*filter\n-A INPUT -j nochain\nCOMMIT\n"),
        ])
    func bad(_ line: Int, _ rules: String) async throws {
        for backend in TestBackend.installed {
            try await Machine.with(backend) { machine in
                let words = try self.words(on: machine, four: rules, six: Self.six)
                let applied = try await Latchkey.run(words, root: machine.root, in: machine.namespace)
                #expect(applied.status == 65, "\(applied.errors)")
                #expect(applied.errors.contains("\(machine.root.path)/four.rules:\(line):"), "\(applied.errors)")
                #expect(!applied.errors.contains("at line") && !applied.errors.contains("Try `"), "\(applied.errors)")
                #expect(!applied.errors.contains("-restore v"), "\(applied.errors)")
                #expect(try await machine.rules() == Machine.none)
            }
        }
    }

    /// Files that the tools accept, each in its own way; `-4` and `-6` mark lines for one family.
    static let taken = [
        "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-4 -A INPUT -p icmp -j ACCEPT\n"
            + "-6 -A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n",
        "*filter\n:old - [0:0]\n-A old -p tcp --dport 22 -j ACCEPT\n-E old new\n-A INPUT -j new\nCOMMIT\n",
        "*filter\n:INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT",
        "*filter\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 1 -j DROP\n-I INPUT 1 -p tcp --dport 22 -j ACCEPT\n"
            + "-R INPUT 3 -p tcp --dport 2 -j DROP\n-D INPUT 2\n-P INPUT DROP\nCOMMIT\n",
        "*filter\n-A INPUT -i lo -j ACCEPT\n-R INPUT 1 -i lo -j ACCEPT\n-D INPUT -i lo -j ACCEPT\n-I INPUT 1 -j ACCEPT\n"
            + "-R INPUT 1 -j DROP\n-D INPUT 1\nCOMMIT\n",
        "*filter\n-N late\n-A INPUT -p tcp -g late\n-A late -j RETURN\n-P FORWARD DROP\nCOMMIT\n",
    ]

    @Test(
        "a file that both tools accept is kept as loaded; another exits with 65 and a reason, and changes nothing",
        arguments: TestBackend.installed, taken)
    func asTheToolsTakeIt(_ backend: TestBackend, _ text: String) async throws {
        try await Machine.with(backend) { machine in
            let reference = try await NetworkNamespace()
            defer { reference.close() }
            // Only iptables-legacy-restore requires the last line's end.
            let whole = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
            var isTaken = true
            for family in IPFamily.allCases {
                let loaded = try await reference.run([backend.tool(family, "restore"), "-w", "5"], input: whole)
                isTaken = isTaken && loaded.status == 0
            }
            let words = try self.words(on: machine, four: text, six: text)
            let applied = try await Latchkey.run(words, root: machine.root, in: machine.namespace)
            guard isTaken else {
                #expect(applied.status == 65, "\(applied.errors)")
                let path = "\(machine.root.path)/four.rules"
                #expect(applied.errors.replacing("\n    ", with: " ").contains(path), "\(applied.errors)")
                #expect(!applied.errors.contains("rules: \n"), "\(applied.errors)")
                try await machine.expectBack(Machine.none)
                return
            }
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(try await machine.latchkey("confirm").status == 0)
            for family in IPFamily.allCases {
                let wanted = EarlierRules.withoutEmptyTables(try await reference.dump(family, backend))
                #expect(EarlierRules.withoutEmptyTables(try await machine.dump(family)) == wanted)
            }
        }
    }

    @Test("one family's rules may come from standard input, and mistakes there have a line too")
    func standardInput() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            var words = try self.words(on: machine, four: Self.four, six: Self.six)
            words[2] = "-"
            for (status, text) in [(Int32(65), "*filter\n-A INPUT -j nochain\nCOMMIT\n"), (0, Self.four)] {
                let applied = try await Latchkey.run(
                    words, root: machine.root, in: machine.namespace, input: Array(text.utf8))
                #expect(applied.status == status, "\(applied.errors)")
                #expect(status == 0 || applied.errors.contains("standard input:2:"), "\(applied.errors)")
            }
            #expect(try await machine.dump(.ipv4).contains("the front door"))
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await machine.latchkey("apply", "--rules", "-", "--rules6", "-").status == 64)
        }
    }

    private func words(on machine: Machine, four: String, six: String) throws -> [String] {
        let paths = [
            try machine.root.write(four, to: "four.rules"), try machine.root.write(six, to: "six.rules"),
        ]
        return [
            "apply", "--rules", paths[0], "--rules6", paths[1], "--backend", machine.backend.rawValue, "--detach",
            "--no-rehearsal",
            "--deadline", "5m",
        ]
    }
}
