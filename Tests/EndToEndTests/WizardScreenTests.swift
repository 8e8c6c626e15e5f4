import TestSupport
import Testing

/// What a person sees of `latchkey try` from the start to the review, taken where nothing is redrawn.
@Suite("The wizard's screens from the built binary", .kernel, .inTurn)
struct WizardScreenTests {
    @Test("from the start to the first question", arguments: [80, 40] as [UInt16])
    func start(columns: UInt16) async throws {
        let root = try TemporaryFolder()
        let pty = try Pty(
            Latchkey.path, ["try"], environment: ["TERM": "dumb", "LATCHKEY_ROOT": root.path], columns: columns)
        try await pty.expect("admins [192.0.2.1] > ", within: .seconds(30))
        // Which other firewalls there are is the machine's own.
        let lines = await pty.screen.split(separator: "\n", omittingEmptySubsequences: false)
        let besides = try #require(lines.firstIndex { $0.hasPrefix("  besides") })
        let next = try #require(lines[besides...].firstIndex(of: ""))
        // What stands above it is about this one throwaway network.
        let start = try #require(lines.firstIndex { $0.hasPrefix("latchkey try: everything") })
        let shown = ([""] + lines[start..<besides] + lines[next...]).joined(separator: "\n")
        #expect(shown == (columns == 80 ? Self.start80 : Self.start40))
        try await pty.line("quit")
        #expect(try await pty.exit(within: .seconds(30)) == 130)
    }

    private static let start80 = """

        latchkey try: everything below is real, the rules, the countdown and the way
        back, but it happens in a throwaway copy of the network. Nothing of this machine
        changes.
        At any question:  ? explains   back   show   quit       Enter takes [default]

        Found here
          you         192.0.2.1, by SSH
          addresses   192.0.2.2 and 2001:db8:2::2 on eth0
          listening   nothing was found
          rules now   none

        1/5  Who administers this server?
             These addresses may reach everything on it.
             admins [192.0.2.1] > \("")
        """

    private static let start40 = """

        latchkey try: everything below is real,
        the rules, the countdown and the way
        back, but it happens in a throwaway copy
        of the network. Nothing of this machine
        changes.
        At any question: ? explains, back, show,
        quit. Enter takes [default].

        Found here
          you: 192.0.2.1, by SSH
          addresses: 192.0.2.2 and 2001:db8:2::2
            on eth0
          listening: nothing was found
          rules now: none

        1/5  Who administers this server?
          These addresses may reach everything
          on it.
          admins [192.0.2.1] > \("")
        """
}
