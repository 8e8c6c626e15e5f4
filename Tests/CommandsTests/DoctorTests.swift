import Commands
import Testing

@Suite("doctor")
struct DoctorTests {
    private static let findings: [Finding] = [
        .ok("iptables", "iptables v1.8.9 (nf_tables)"),
        .found(
            .warning, "ufw", "enabled. It sets the INPUT policy and its own chains at boot and on every change.",
            remedy: "To let latchkey take over: ufw disable"),
    ]

    @Test("the report as people see it")
    func text() {
        #expect(
            DoctorReport(version: "1.2.3", findings: Self.findings).text == """
                latchkey 1.2.3
                ok       iptables  iptables v1.8.9 (nf_tables)
                warning  ufw       enabled. It sets the INPUT policy and its own chains at boot
                                   and on every change.
                                   -> To let latchkey take over: ufw disable

                latchkey works here, with limitations: see the lines marked "warning".

                """)
    }

    @Test("the report as JSON; a missing remedy is null")
    func json() throws {
        #expect(
            try DoctorReport(version: "1.2.3", findings: Self.findings).json() == """
                {"findings":[{"detail":"iptables v1.8.9 (nf_tables)","remedy":null,"state":"ok","subject":"iptables"},\
                {"detail":"enabled. It sets the INPUT policy and its own chains at boot and on every change.",\
                "remedy":"To let latchkey take over: ufw disable","state":"warning","subject":"ufw"}],\
                "version":"1.2.3"}

                """)
    }

    @Test("only a missing requirement ends with exit code 69", arguments: Finding.State.allCases)
    func status(state: Finding.State) {
        let report = DoctorReport(findings: Self.findings + [.found(state, "x", "y", remedy: "z")])
        #expect(report.status == (state == .missing ? .missing : .done))
        #expect(report.text.contains("latchkey cannot work here") == (state == .missing))
    }

    @Test("on this machine every finding with a problem has a remedy, within 80 columns")
    func here() async {
        let run = await ProgramRun.of(["doctor"])
        #expect(run.talk.isEmpty)
        #expect(run.status == 0 || run.status == 69)
        for line in run.results.split(separator: "\n") {
            #expect(line.count <= 80 || !line.trimmingPrefix { $0 == " " }.contains(" "), "\(line)")
        }
        let lines = run.results.split(separator: "\n")
        let open = lines.filter { $0.hasPrefix("warning ") || $0.hasPrefix("note ") || $0.hasPrefix("missing ") }
        #expect(open.count == lines.count { $0.contains(" -> ") })
        #expect(run.results.contains(" rights ") && run.results.contains("not root: "))
    }
}

@Suite("Shell completions")
struct CompletionTests {
    @Test("each shell gets a script that includes the commands", arguments: ["bash", "zsh", "fish"])
    func scripts(shell: String) async {
        let run = await ProgramRun.of(["--generate-completion-script", shell])
        #expect(run.status == 0)
        #expect(run.talk.isEmpty)
        for word in ["setup", "doctor", "confirm", "template-dir"] { #expect(run.results.contains(word), "\(word)") }
        #expect(!run.results.contains("probe-agent"))
    }
}
