import Glibc
import TestSupport
import Testing

@Suite("Lists of addresses in files", .kernel, .inTurn)
struct AddressListTests {
    /// The names of latchkey's sets in the kernel.
    private func sets(_ machine: Machine) async throws -> Set<String> {
        let names = try await machine.namespace.mustRun(["ipset", "list", "-n"])
        return Set(names.split(separator: "\n").map(String.init).filter { $0.hasPrefix("latchkey-") })
    }

    private func write(_ addresses: Int, _ machine: Machine) throws {
        let lines = (0..<addresses).map { "10.7.\($0 / 256).\($0 % 256)\n" }.joined()
        try machine.root.write("# Offices\n" + lines, to: "lists/admins.txt")
        try machine.root.write("version: 1\nadmins: [{ file: lists/admins.txt }]\n", to: "keep.yaml")
    }

    @Test(
        "a set is created before its rules, removed with them, and saved for boot",
        arguments: TestBackend.installed)
    func life(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try write(300, machine)
            try await machine.begin(.keep, Machine.rehearsed)
            let first = try await sets(machine)
            #expect(first.count == 1)
            let name = try #require(first.first)
            let listed = try await machine.namespace.mustRun(["ipset", "list", name])
            #expect(listed.contains("Number of entries: 300\n"))
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            let rule = "-A INPUT -m set --match-set \(name) src "
            #expect(try await machine.dump(.ipv4).contains(rule))
            let saved = try machine.root.read("var/lib/latchkey/restore/ipsets")
            #expect(saved.contains("add \(name) 10.7.1.43\n"))
            let kept = try machine.root.read("etc/latchkey/answers.yaml")
            #expect(kept.contains("- { file: \"\(machine.root.path)/lists/admins.txt\" }"))

            // The kept rules use their own set until the next rules are kept.
            try write(301, machine)
            try await machine.begin(.keep)
            let both = try await sets(machine)
            #expect(both.count == 2 && both.isSuperset(of: first))
            #expect(try await machine.latchkey("revert").status == 0)
            try await until("the new set is gone", within: .seconds(10)) { try await sets(machine) == first }
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            #expect(try await sets(machine) == both.subtracting(first))
        }
    }

    @Test("mistakes in a list are reported with file and line, and nothing is changed")
    func mistakes() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try machine.root.write("10.0.0.1\n10.0.0.300\n", to: "bad.txt")
            try machine.root.write("10.0.0.1\n", to: "other.txt")
            let root = machine.root.path
            #expect(mkfifo("\(root)/pipe", 0o600) == 0)
            #expect(symlink("\(root)/other.txt", "\(root)/link.txt") == 0)
            #expect(lchown("\(root)/link.txt", 65_534, 65_534) == 0 || geteuid() != 0)
            let cases =
                [
                    ("bad.txt", "\(root)/bad.txt:2: \"10.0.0.300\" is not an address"),
                    ("missing.txt", "keep.yaml:2: \"missing.txt\": \(root)/missing.txt: cannot open"),
                    ("lists", "keep.yaml:2: \"lists\": "), ("pipe", "keep.yaml:2: \"pipe\": "),
                    ("/dev/zero", "keep.yaml:2: \"/dev/zero\": "),
                ] + (geteuid() == 0 ? [("link.txt", "keep.yaml:2: \"link.txt\": ")] : [])
            try machine.root.write("", to: "lists/empty")
            for (file, message) in cases {
                try machine.root.write("version: 1\nadmins: [{ file: \(file) }]\n", to: "keep.yaml")
                let refused = try await machine.apply(.keep)
                #expect(refused.status == 65, "\(file): \(refused.errors)")
                let said = refused.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(said.contains(message), "\(file): \(said)")
            }
            #expect(try await machine.rules() == Machine.none)
        }
    }
}
