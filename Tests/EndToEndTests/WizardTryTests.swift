import Foundation
import Glibc
import TestSupport
import Testing

@Suite("latchkey try", .kernel, .inTurn)
struct WizardTryTests {
    @Test("during a try, a client shell tests connections with real tools; kept answers are saved and make a plan")
    func shellAndSave() async throws {
        let root = try TemporaryFolder()
        let file = root.path + "/mine.yaml"
        // A separate process namespace: the trial of another test must not be found here.
        let user = geteuid() == 0 ? [] : ["--user", "--map-root-user"]
        // The namespace outlives the trial, so that the shells inside see its end.
        let trial = "'\(Latchkey.path)' try --save '\(file)'; status=$?; sleep 5; exit $status"
        let pty = try Pty(
            try Tool.path("unshare"),
            user + ["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", trial],
            environment: Latchkey.environment(root: root))
        let prompts = [
            "admins [192.0.2.1] > ", "ssh [everyone] > ", "services [", "ports [none] > ", "ping [nobody] > ",
            "quit [apply] > ",
        ]
        for prompt in prompts {
            try await pty.expect(prompt, within: .seconds(60))
            try await pty.line(prompt.hasPrefix("admins") ? "192.168.1.33" : prompt.hasPrefix("services") ? "web" : "")
        }
        try await pty.expect("The new rules are active.", within: .seconds(60))

        let children = try String(
            contentsOfFile: "/proc/\(await pty.pid)/task/\(await pty.pid)/children", encoding: .utf8)
        let first = try #require(children.split(separator: " ").first)
        let enter = geteuid() == 0 ? [] : ["--user", "--preserve-credentials"]
        let outside = ["--target", "\(first)", "--pid", "--mount"] + enter + ["--"]
        let shell = try Pty(try Tool.path("nsenter"), outside + [Latchkey.path, "try", "--shell"])
        try await shell.expect("This shell is outside", within: .seconds(20))
        try await shell.expect("as a stranger")
        // Nothing listens: a refusal, 1, has passed the rules; 124 is timeout(1)'s status for no answer at all.
        for (address, port, code) in [("192.0.2.2", 443, 1), ("192.0.2.2", 3306, 124), ("2001:db8:2::2", 80, 1)] {
            let knock = "timeout 1 bash -c 'exec 3<>/dev/tcp/\(address)/\(port)' 2>/dev/null; echo \"\(port): $?.\""
            try await shell.line(knock)
            try await shell.expect("\(port): \(code).")
        }
        try await shell.line("exit")
        #expect(try await shell.exit() == 0)

        // This shell is open when the try ends, with typeahead that is not meant for the real shell.
        let line = """
            '\(Latchkey.path)' try --shell; echo "ended: $?"
            echo "left: $(timeout --foreground 2 head -n 1 | wc -l)."
            """
        // On a terminal in the inner namespace: a shell whose group is not a process there could not control this one.
        let caught = try Pty(
            try Tool.path("nsenter"), outside + [try Tool.path("script"), "-qc", line, "/dev/null"])
        try await caught.expect("This shell is outside", within: .seconds(20))
        try await caught.line("echo in'side'; sleep 1000")
        try await caught.expect("inside")
        try await caught.line("reboot")

        try await pty.line("keep untested")
        try await pty.expect("Kept. In a real setup, the rules would also be saved", within: .seconds(30))
        try await pty.expect("Saved. To apply the answers, run: sudo latchkey --answers \(file)", within: .seconds(30))
        try await caught.expect(
            "\"latchkey try\" has ended. This is your own machine again.", within: .seconds(20))
        try await caught.expect("ended: 1")
        try await caught.expect("left: 0.")
        #expect(try await pty.exit(within: .seconds(30)) == 0)
        let plan = try await Latchkey.run(["plan", "--answers", file, "--family", "ipv4"], root: root)
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(plan.output.contains("-s 192.168.1.33/32"))
        #expect(plan.output.contains("80,443"))
    }

    @Test("without a running trial there is no shell outside it")
    func nothingRuns() async throws {
        let root = try TemporaryFolder()
        let user = geteuid() == 0 ? [] : ["--user", "--map-root-user"]
        let finished = try await run(
            ["unshare"] + user + ["--pid", "--fork", "--mount-proc", "--", Latchkey.path, "try", "--shell"],
            environment: Latchkey.environment(root: root))
        #expect(finished.status == 1)
        #expect(finished.errors.contains("No \"latchkey try\" is running here."))
    }

    @Test("where namespaces are forbidden, commands that need them exit with 69 and name the remedy")
    func forbidden() async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: [192.168.1.33]\n", to: "answers.yaml")
        // The limit applies to namespaces created from within this one (namespaces(7)).
        func attempt(_ words: String) async throws -> Finished {
            let line = "echo 0 > /proc/sys/user/max_net_namespaces && exec '\(Latchkey.path)' \(words)"
            return try await run(
                ["unshare", "--user", "--map-root-user", "--net", "--", "sh", "-c", line],
                environment: Latchkey.environment(root: root))
        }
        for words in ["rehearse --answers \(file)", "try", "trace 192.0.2.9 tcp/22 --answers \(file)"] {
            let finished = try await attempt(words)
            #expect(finished.status == 69, "\(words): \(finished.errors)")
            #expect(finished.errors.contains("max_net_namespaces"), "\(words): \(finished.errors)")
        }
        let doctor = try await attempt("doctor")
        #expect(doctor.status == 0)
        #expect(doctor.output.contains("warning  rehearsal    No throwaway namespace can be made here"))
        #expect(doctor.output.contains("max_net_namespaces"))
    }
}
