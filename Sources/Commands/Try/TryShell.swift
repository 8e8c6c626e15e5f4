import Glibc
import Host
import Netfilter
import Policy
import Rehearsal

/// `latchkey try --shell`: a client shell in a try that is running in another terminal.
struct TryShell {
    let toolbox: Toolbox

    /// Runs the shell on this terminal until the shell or the try ends.
    ///
    /// - Returns: `failed` if the try ended before the shell.
    /// - Throws: `Failure` if no try is running.
    func run(in context: CommandContext) throws(Failure) -> ProgramStatus {
        guard let running = RunningStage.find() else {
            throw Failure(
                .failed, "No \"latchkey try\" is running here.",
                next: "start one in another terminal, then run this command again.")
        }
        let words: [String]
        do { words = try running.enterOutside(["/bin/sh"], tools: StageTools(toolbox)) } catch {
            throw Failure(error)
        }
        context.console.say(Self.welcome)
        Signals.leaveKeysToChild()
        let terminal = TerminalState()
        let status = try Foreground.run(words)
        // When a try ends, the kernel kills the remaining processes in its namespaces.
        guard status == 128 + SIGKILL else { return ProgramStatus(rawValue: status) ?? .done }
        // The typed text was for that shell. Discard it, so that it does not run on this machine.
        terminal.restore()
        context.console.say("\n\"latchkey try\" has ended. This is your own machine again.\n")
        return .failed
    }

    private static var welcome: String {
        let names = StageAddresses.documentation
        func list(_ addresses: [IPAddress]) -> String { addresses.map(\.description).joined(separator: " and ") }
        let server = names.server.map(\.address)
        let target = server.first?.description ?? ""
        let (admin, stranger) = (names.outside.prefix(2), names.outside.dropFirst(2))
        let examples = [(admin, "as the proposed administrator"), (stranger, "as a stranger")].map { who, role in
            let source = who.first?.description ?? ""
            return "  nc -vz -w 2 -s \(source) \(target) 22    ping -c 1 -I \(source) \(target)\n      \(role)\n"
        }
        return Wrapping.text(
            "This shell is outside the server. It has the addresses \(list(Array(admin))) of the proposed "
                + "administrator, and \(list(Array(stranger))) of a stranger. The server is \(list(server)). Nothing "
                + "listens there: \"connection refused\" means that the rules allow the connection, no reply means that "
                + "they block it. Type exit to leave. To test:") + examples.joined()
    }
}

/// The state of the terminal before another program uses it.
private struct TerminalState {
    private var settings = termios()
    private let isTerminal: Bool

    init() { isTerminal = tcgetattr(STDIN_FILENO, &settings) == 0 }

    /// Restores the terminal after a shell was killed, and discards typed input.
    func restore() {
        guard isTerminal else { return }
        // The killed shell's process group may still be in the foreground. Without this, the kernel would stop us.
        signal(SIGTTOU, SIG_IGN)
        tcsetpgrp(STDIN_FILENO, getpgrp())
        // Wait, because the user may still be typing.
        usleep(500_000)
        var settings = settings
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }
}
