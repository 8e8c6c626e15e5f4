import CLinux
import Glibc

/// This program, started again, independent of the terminal and of the process that started it.
package enum DetachedProcess {
    /// Starts this same binary with other arguments.
    ///
    /// It has no input and output, default signals and no other open files. It must still call `become`, because Swift
    /// does not see the flag of posix_spawn(3) for a new session.
    ///
    /// - Returns: its process ID.
    /// - Throws: `toolUnusable` if the kernel refuses.
    @discardableResult
    package static func start(_ arguments: [String], environment: [String: String]) throws(HostError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        latchkey_spawn_close_from(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var argv: [UnsafeMutablePointer<CChar>?] = (["latchkey"] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, &argv, &envp)
        guard code == 0 else {
            throw .toolUnusable(command: ["latchkey"] + arguments, reason: "\(String(cString: strerror(code)))")
        }
        return child
    }

    /// Prepares the new process, before anything else.
    ///
    /// It starts a new session, works in `/`, and creates files that only root can read. It ignores the signals below,
    /// because a guard that ends early can leave the server locked.
    package static func become() {
        setsid()
        // Started through /proc/self/exe, it would be called "exe" in ps and top; prctl(2) names only the calling
        // thread, which may not be the first one.
        if let file = fopen("/proc/self/comm", "w") {
            fputs("latchkey", file)
            fclose(file)
        }
        for number in [SIGHUP, SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP] {
            signal(number, SIG_IGN)
        }
        _ = chdir("/")
        umask(0o077)
        // The kernel should kill it last when memory runs out (proc_pid_oom_score_adj(5)); without the permission to
        // set this, the value does not change.
        if let file = fopen("/proc/self/oom_score_adj", "w") {
            fputs("-1000", file)
            fclose(file)
        }
    }
}
