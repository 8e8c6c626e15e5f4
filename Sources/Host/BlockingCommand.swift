import CLinux
import Glibc

/// Runs a short program and blocks the calling thread until it ends, for threads outside Swift's pool.
package enum BlockingCommand {
    /// Runs it.
    ///
    /// - Parameters:
    ///   - program: an absolute path.
    ///   - arguments: its arguments.
    ///   - input: what it reads on standard input.
    ///   - seconds: how long it may take before it is killed.
    /// - Throws: `toolUnusable` when it cannot be started, `toolFailed` for any status but 0, `toolTimedOut`.
    package static func run(
        _ program: String, _ arguments: [String], input: [UInt8], seconds: Int
    ) throws(HostError) {
        let words = [program] + arguments
        let file = latchkey_memory_file("latchkey-input")
        guard file >= 0 else { throw .file(path: "(memory)", operation: "make a file in memory", errno: errno) }
        defer { close(file) }
        guard write(file, input, input.count) == input.count, lseek(file, 0, SEEK_SET) == 0 else {
            throw .file(path: "(memory)", operation: "write", errno: errno)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, file, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        latchkey_spawn_close_from(&actions, 3)
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = [
            strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), strdup("LC_ALL=C"), nil,
        ]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, program, &actions, nil, &argv, &envp)
        guard code == 0 else { throw .toolUnusable(command: words, reason: String(cString: strerror(code))) }
        let end = BootClock.system.now().advanced(milliseconds: Int64(seconds) * 1_000)
        var status: Int32 = 0
        while waitpid(child, &status, WNOHANG) == 0 {
            guard BootClock.system.now() < end else {
                kill(child, SIGKILL)
                waitpid(child, &status, 0)
                throw .toolTimedOut(command: words, seconds: seconds)
            }
            usleep(2_000)
        }
        guard status == 0 else { throw .toolFailed(command: words, status: status >> 8 & 0xFF, message: "") }
    }
}
