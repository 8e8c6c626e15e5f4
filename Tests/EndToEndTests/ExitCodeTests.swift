import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Input that is refused before anything happens", .kernel, .inTurn)
struct ExitCodeTests {
    @Test(
        "a bad command line exits with 64",
        arguments: [
            ["apply", "--deadline", "5s"], ["apply", "--deadline", "2h"], ["apply", "--deadline", "soon"],
            ["apply", "--bogus"], ["apply", "--backend", "ebtables"], ["apply"], ["plan"], ["confirm", "now"],
            ["plan", "--family", "ipx"], ["apply", "--answers", "/nowhere/answers.yaml"], ["frobnicate"],
            ["apply", "--rules6", "/dev/null"], ["services", "show", "nonesuch"],
        ])
    func usage(_ words: [String]) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let finished = try await Latchkey.run(words, root: machine.root, in: machine.namespace)
            #expect(finished.status == 64, "\(finished.errors)")
            #expect(finished.output == "")
            #expect(!finished.errors.isEmpty)
            try await expectNothingDone(on: machine)
        }
    }

    @Test("bad answers exit with 65, with file and line per mistake, and change nothing", arguments: ["apply", "plan"])
    func badAnswers(_ command: String) async throws {
        let answers = """
            version: 1
            admins: [192.168.1.300, 10.0.0.1/8]
            services: [ssh, wbe]
            ports: [70000/tcp, 80/icmp]
            ping: sometimes
            pong: always
            ping: everyone
            ssh: { ports: [0], from: everybody }
            existing: destroy

            """
        try await Machine.with(TestBackend.installed[0]) { machine in
            let path = try machine.root.write(answers, to: "bad.yaml")
            let finished = try await machine.latchkey(command, "--answers", path)
            #expect(finished.status == 65)
            #expect(finished.output == "")
            let mistakes: [(line: Int, text: String)] = [
                (2, "192.168.1.300"), (2, "10.0.0.1/8"), (3, "wbe"), (4, "70000/tcp"), (4, "80/icmp"),
                (5, "sometimes"), (6, "pong"), (7, "ping"), (8, "0"), (8, "everybody"), (9, "destroy"),
            ]
            let lines = finished.errors.split(separator: "\n")
            for mistake in mistakes {
                let start = "\(path):\(mistake.line):"
                #expect(
                    lines.contains { $0.contains(start) && $0.contains(mistake.text) },
                    "\(start) \(mistake.text) in \(finished.errors)")
            }
            try await expectNothingDone(on: machine)
        }
    }

    @Test(
        "hostile values exit with 65 and reach neither a rule nor a shell",
        arguments: [
            "services: [\"ssh; touch /tmp/latchkey-owned\"]", "admins: [\"10.0.0.1\\n-A INPUT -j ACCEPT\"]",
            "services: [\"{{> rules}}\"]", "services: [\"$(id)\"]", "ports: [\"٨٠/tcp\"]",
            "services: [{name: \"ssh\\\" -j ACCEPT\", from: everyone}]", "ssh: {from: [\"{{{x}}}\"]}",
            "services: &a [*a]", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nservices: *c",
            "services: [\"\\u202Essh\"]", "ports: [\"80/tcp -j ACCEPT\"]",
            "services: \(String(repeating: "[", count: 5000))\(String(repeating: "]", count: 5000))",
        ])
    func hostile(_ line: String) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            unlink("/tmp/latchkey-owned")
            let path = try machine.root.write("version: 1\n\(line)\n", to: "hostile.yaml")
            let finished = try await machine.latchkey("apply", "--detach", "--answers", path)
            #expect(finished.status == 65, "\(finished.errors)")
            #expect(access("/tmp/latchkey-owned", F_OK) != 0)
            // Text from the file is never printed as control characters.
            #expect(finished.errors.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 && $0.value != 0x202E })
            try await expectNothingDone(on: machine)
        }
    }

    @Test("answers are also read from standard input, and mistakes there have a line too")
    func standardInput() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let words = [
                "apply", "--detach", "--no-rehearsal", "--answers", "-", "--backend", machine.backend.rawValue,
            ]
            let bad = try await Latchkey.run(
                words, root: machine.root, in: machine.namespace, input: Array("version: 1\nservices: [wbe]\n".utf8))
            #expect(bad.status == 65)
            #expect(bad.errors.contains(":2:"))
            let good = try await Latchkey.run(
                words, root: machine.root, in: machine.namespace, input: Array(Answers.keep.utf8))
            #expect(good.status == 0, "\(good.errors)")
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("without root the exit code is 77", arguments: ["apply", "confirm", "revert", "off", "status"])
    func notRoot(_ command: String) async throws {
        let root = try TemporaryFolder()
        try root.write(Answers.keep, to: "keep.yaml")
        let words = [Latchkey.path, command] + (command == "apply" ? ["--answers", "\(root.path)/keep.yaml"] : [])
        let nobody = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] : []
        let finished = try await run(nobody + words, environment: Latchkey.environment(root: root))
        #expect(finished.status == 77, "\(finished.errors)")
        #expect(finished.errors.contains("root"))
        guard command != "status" else { return }
        let reported = try await run(nobody + words + ["--json"], environment: Latchkey.environment(root: root))
        #expect(reported.status == 77)
        #expect(try JSON(reported).text("outcome") == "refused")
    }

    @Test("plan and services need no root and no namespace")
    func unprivileged() async throws {
        let root = try TemporaryFolder()
        let answers = Array(Answers.keep.utf8)
        let nobody = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] : []
        let environment = Latchkey.environment(root: root)
        let plan = try await run(
            nobody + [Latchkey.path, "plan", "--answers", "-"], input: answers, environment: environment)
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(plan.output.contains("latchkey: ssh"))
        let services = try await run(nobody + [Latchkey.path, "services"], environment: environment)
        #expect(services.status == 0)
        #expect(services.output.contains("web"))
    }

    private func expectNothingDone(on machine: Machine) async throws {
        #expect(try await machine.rules() == Machine.none)
        for folder in ["etc", "run", "var"] {
            #expect(!FileManager.default.fileExists(atPath: "\(machine.root.path)/\(folder)"), "\(folder)")
        }
        #expect(machine.processes("guard").isEmpty && machine.processes("supervise").isEmpty)
    }
}
