import Glibc
import Host
import Netfilter
import Policy
import Rehearsal

/// `latchkey try --shell`: a shell outside the network of a try that runs in another terminal.
struct TryShell {
    let toolbox: Toolbox

    /// Runs the shell on this terminal until it or the try ends.
    ///
    /// - Returns: `failed` where the try has ended under the shell.
    /// - Throws: `Failure` where no try runs.
    func run(in context: CommandContext) throws(Failure) -> ProgramStatus {
        guard let running = RunningStage.find() else {
            throw Failure(
                .failed, "No \"latchkey try\" runs here.", next: "start one in another terminal, and then this again.")
        }
        let words: [String]
        do { words = try running.enterOutside(["/bin/sh"], tools: StageTools(toolbox)) } catch {
            throw Failure(error)
        }
        context.console.say(Self.welcome)
        Signals.leaveKeysToChild()
        let terminal = TerminalState()
        let status = try Foreground.run(words)
        // The kernel kills what is left in the namespaces of a try that ends.
        guard status == 128 + SIGKILL else { return ProgramStatus(rawValue: status) ?? .done }
        // What was being typed was meant for the shell, which is gone, and would be done to this machine.
        terminal.takeBack()
        context.console.say("\nThe try has ended; you are back on this machine.\n")
        return .failed
    }

    private static var welcome: String {
        let names = StageAddresses.documentation
        func list(_ addresses: [IPAddress]) -> String { addresses.map(\.description).joined(separator: " and ") }
        let server = names.server.map(\.address)
        let door = server.first?.description ?? ""
        let (known, strange) = (names.outside.prefix(2), names.outside.dropFirst(2))
        let knocks = [(known, "as the admin that the try proposes"), (strange, "as a stranger")].map { who, role in
            let source = who.first?.description ?? ""
            return "  nc -vz -w 2 -s \(source) \(door) 22    ping -c 1 -I \(source) \(door)\n      \(role)\n"
        }
        return Wrapping.text(
            "This shell is outside, at \(list(Array(known))), and, as a stranger, at \(list(Array(strange))). The server "
                + "is \(list(server)). Nothing listens there: \"refused\" means that the rules let you in, no answer "
                + "that they do not. exit leaves. To knock:") + knocks.joined()
    }
}

/// How the terminal was before a program was let have it.
private struct TerminalState {
    private var settings = termios()
    private let isTerminal: Bool

    init() { isTerminal = tcgetattr(STDIN_FILENO, &settings) == 0 }

    /// Takes the terminal back from a shell that was killed, with its settings, and forgets what was typed ahead.
    func takeBack() {
        guard isTerminal else { return }
        // The killed shell's process group may still be the one in front: whoever is not is stopped for touching.
        signal(SIGTTOU, SIG_IGN)
        tcsetpgrp(STDIN_FILENO, getpgrp())
        // Who types does not stop at once.
        usleep(500_000)
        var settings = settings
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }
}
