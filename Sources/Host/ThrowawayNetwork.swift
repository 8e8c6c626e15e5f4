import CLinux
import Glibc

/// An empty network namespace, in which rules are loaded to see how the tools interpret them.
///
/// It exists as long as this value. A separate thread creates it, so that this process stays in its own namespace.
package final class ThrowawayNetwork: Sendable {
    private let descriptor: Int32

    /// Creates the namespace.
    ///
    /// - Throws: `file` if the kernel does not allow it (unshare(2)).
    package init() throws(HostError) {
        let made = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        defer { made.deallocate() }
        made.pointee = -EAGAIN
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                let made = argument?.assumingMemoryBound(to: Int32.self)
                if latchkey_unshare_network() == 0 {
                    let file = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
                    made?.pointee = file >= 0 ? file : -errno
                } else {
                    made?.pointee = -errno
                }
                return nil
            }, made)
        guard code == 0 else { throw .file(path: "(network namespace)", operation: "start a thread", errno: code) }
        pthread_join(thread, nil)
        guard made.pointee >= 0 else {
            throw .file(path: "(network namespace)", operation: "create it", errno: -made.pointee)
        }
        descriptor = made.pointee
    }

    deinit { close(descriptor) }

    /// A runner whose programs run in this network.
    ///
    /// - Parameters:
    ///   - nsenter: the program nsenter(1).
    ///   - runner: runs the programs.
    /// - Returns: the runner; it keeps the network alive.
    package func runner(nsenter: String, over runner: any CommandRunner) -> any CommandRunner {
        EnteringRunner(network: self, nsenter: nsenter, runner: runner)
    }

    private struct EnteringRunner: CommandRunner {
        let network: ThrowawayNetwork
        let nsenter: String
        let runner: any CommandRunner

        func run(_ command: Command) async throws(HostError) -> CommandResult {
            var entering = command
            entering.program = nsenter
            entering.arguments = ["--net=/proc/\(getpid())/fd/\(network.descriptor)", "--"] + command.words
            return try await runner.run(entering)
        }
    }
}
