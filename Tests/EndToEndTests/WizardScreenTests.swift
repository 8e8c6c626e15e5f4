import TestSupport
import Testing

/// The screens of `latchkey try` from the start, recorded without redrawing.
@Suite("The wizard's screens from the built binary", .kernel, .inTurn)
struct WizardScreenTests {
    @Test("from the start to the first question", arguments: [80, 40] as [UInt16])
    func start(columns: UInt16) async throws {
        let root = try TemporaryFolder()
        let pty = try Pty(
            Latchkey.path, ["try"], environment: ["TERM": "dumb", "LATCHKEY_ROOT": root.path], columns: columns)
        try await pty.expect("admins [192.0.2.1] > ", within: .seconds(30))
        // The line about other firewalls depends on the machine.
        let lines = await pty.screen.split(separator: "\n", omittingEmptySubsequences: false)
        let firewalls = try #require(lines.firstIndex { $0.hasPrefix("  also here") })
        let next = try #require(lines[firewalls...].firstIndex(of: ""))
        // Lines above the start screen are about this throwaway network.
        let start = try #require(lines.firstIndex { $0.hasPrefix("latchkey try: the rules") })
        let shown = ([""] + lines[start..<firewalls] + lines[next...]).joined(separator: "\n")
        #expect(shown == (columns == 80 ? Self.start80 : Self.start40))
        try await pty.line("quit")
        #expect(try await pty.exit(within: .seconds(30)) == 130)
    }

    private static let start80 = """

        latchkey try: the rules, the countdown and the rollback are real, but they run
        in a throwaway network namespace. Nothing on this machine changes.
        At any question:  ? explains   back   show   quit    Enter accepts [default]

        Found here
          you         192.0.2.1, by SSH
          addresses   192.0.2.2 and 2001:db8:2::2 on eth0
          listening   nothing found
          rules now   none

        1/5  Who administers this server?
             These addresses can reach every port.
             admins [192.0.2.1] > \("")
        """

    private static let start40 = """

        latchkey try: the rules, the countdown
        and the rollback are real, but they run
        in a throwaway network namespace.
        Nothing on this machine changes.
        At any question: ? explains, back, show,
        quit. Enter accepts [default].

        Found here
          you: 192.0.2.1, by SSH
          addresses: 192.0.2.2 and 2001:db8:2::2
            on eth0
          listening: nothing found
          rules now: none

        1/5  Who administers this server?
          These addresses can reach every port.
          admins [192.0.2.1] > \("")
        """
}
