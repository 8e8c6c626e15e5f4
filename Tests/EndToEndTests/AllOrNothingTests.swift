import Foundation
import TestSupport
import Testing

@Suite("A change that cannot be applied completely", .kernel, .inTurn)
struct AllOrNothingTests {
    /// Part of every plan for IPv6, and of no other rules.
    private static let planned = "*'latchkey: loopback'*"

    @Test("when IPv6 fails, IPv4 is undone", arguments: Case.all)
    func failing(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.load { EarlierRules.other($0) + EarlierRules.filterWithoutSets($0) }
            let before = try await machine.rules()
            let load = "echo loaded >>'\(machine.root.path)/tries'; echo no such thing >&2; exit 1"
            try await FakeTool.ip6tablesRestore("case $input in \(Self.planned)) \(load);; esac", on: machine)
            let applied = try await machine.apply(test.existing, "--json")
            #expect(try machine.root.read("tries").hasPrefix("loaded"), "the load was reached")
            #expect(applied.status == 3)
            try await machine.expectBack(before)
            let report = try JSON(applied)
            #expect(report.text("outcome") == "reverted")
            #expect(report.truth("verified") == true)
            #expect(report.text("reason")?.contains("no such thing") == true)
            #expect(try await machine.status().text("state") == "reverted")
        }
    }

    @Test("when the tool hangs, it is stopped and everything is undone", arguments: Case.crossed)
    func hanging(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            try await FakeTool.ip6tablesRestore("case $input in \(Self.planned)) exec sleep 600;; esac", on: machine)
            let applied = try await machine.apply(test.existing, "--json")
            #expect(applied.status == 3)
            try await machine.expectBack(before)
            #expect(try JSON(applied).truth("verified") == true)
        }
    }

    @Test(
        "if partial permanent rules cannot be undone either, SSH and the admins are allowed",
        arguments: Case.crossed)
    func emergency(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            // IPv6 is made permanent, but incorrectly; after that only the emergency opening succeeds.
            let flag = "'\(machine.root.path)/loaded'"
            let trouble = """
                case $input in
                *latchkey-trial*) if [ -e \(flag) ]; then echo broken >&2; exit 1; fi;;
                *'emergency opening'*) ;;
                \(Self.planned)) if [ -e \(flag) ]; then echo broken >&2; exit 1; fi
                    touch \(flag); input=$(printf '%s\\n' "$input" | sed 's/8080/8081/');;
                *) if [ -e \(flag) ]; then echo broken >&2; exit 1; fi;;
                esac
                """
            try await FakeTool.ip6tablesRestore(trouble, on: machine)
            async let outcome = machine.apply(test.existing, "--json", "--deadline", "1m")
            _ = try await machine.pending()
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 8, "\(confirmed.errors)")
            let applied = try await outcome
            #expect(applied.status == 8)
            #expect(try JSON(applied).text("outcome") == "failed")
            #expect(try JSON(applied).truth("verified") == false)
            let said = applied.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("The previous rules could not be restored"), "\(said)")
            let six = EarlierRules.chain("INPUT", in: "filter", of: try await machine.dump(.ipv6))
            #expect(six.first?.contains("--dport 22 ") == true && six.first?.hasSuffix("-j ACCEPT") == true)
            #expect(six.contains { $0.contains("-s 2001:db8:5::/64") && $0.contains("emergency opening") })
            #expect(try await machine.status().text("state") == "failed")
        }
    }

    @Test("without the tools nothing starts, and the exit code is 69", arguments: TestBackend.installed)
    func missing(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            let real = URL(fileURLWithPath: try Tool.path(backend.tool(.ipv6, "restore"))).resolvingSymlinksInPath()
            // All names of a backend lead to one program; here it can no longer be run.
            try await machine.namespace.mustRun(["mount", "--bind", "/dev/null", real.path])
            let applied = try await machine.apply(.keep, "--json")
            #expect(applied.status == 69)
            #expect(
                applied.errors.contains("iptables") && applied.errors.contains("Next: install"), "\(applied.errors)")
            #expect(try JSON(applied).text("outcome") == "refused")
            try await until("the end of the guard") { machine.processes("guard").isEmpty }
        }
    }
}
