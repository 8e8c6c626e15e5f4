import Commands
import Host
import Testing

@Suite("Failure messages")
struct FailureTests {
    @Test("a failure says what failed, which rules are active and what to do")
    func threeThings() {
        let failure = Failure(
            .failed, "The rules could not be loaded.", activeRules: Failure.nothingChanged, next: "latchkey status")
        #expect(
            failure.rendered == """
                latchkey: The rules could not be loaded.
                  The previous rules are still active. Nothing was changed.
                  Next: latchkey status

                """)
    }

    @Test("lines stay separate and start with file and line, where editors look for them")
    func lines() {
        let failure = Failure(.badData, "Two mistakes.\na.yaml:1: one\na.yaml:2: two")
        #expect(failure.rendered == "latchkey: Two mistakes.\na.yaml:1: one\na.yaml:2: two\n")
    }

    @Test("long text is wrapped at 80 columns, but a long word is not broken")
    func wrapping() {
        let path = "/" + String(repeating: "x", count: 100)
        let rendered = Failure(.failed, String(repeating: "word ", count: 40) + path).rendered
        let lines = rendered.split(separator: "\n")
        #expect(lines.dropLast().allSatisfy { $0.count <= 80 })
        #expect(lines.last.map(String.init) == "    " + path)
    }

    @Test(
        "missing system features are 69, untrusted data is 65, anything else is 1",
        arguments: [
            (HostError.toolMissing(name: "iptables", lookedIn: ["/usr/sbin"]), ProgramStatus.missing),
            (.insecure(path: "/etc/latchkey/templates", reason: "others may write it"), .badData),
            (.toolTimedOut(command: ["/usr/sbin/iptables"], seconds: 20), .failed),
        ])
    func host(error: HostError, status: ProgramStatus) { #expect(Failure(error).status == status) }
}

@Suite("Exit codes")
struct ProgramStatusTests {
    @Test("the exit codes are exactly the documented ones")
    func numbers() {
        #expect(ProgramStatus.allCases.map(\.rawValue) == [0, 1, 3, 4, 5, 6, 7, 8, 64, 65, 69, 77, 130])
    }
}
