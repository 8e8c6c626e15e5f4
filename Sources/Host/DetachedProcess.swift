import CLinux
import Glibc

/// This program, started once more, apart from the terminal and from whoever started it.
package enum DetachedProcess {
    /// Starts this same binary with other arguments.
    ///
    /// It finds nothing on standard input, prints nowhere, has default signals and no open file. It has still to call
    /// `become` (posix_spawn(3) in Glibc offers no flag for a session of its own to Swift).
    ///
    /// - Returns: its process number.
    /// - Throws: `toolUnusable` when the kernel refuses.
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

    /// What the new process does first.
    ///
    /// It gets a session of its own, keeps no folder busy, and makes files for root alone. It ends for none of these signals: a guard that goes leaves a locked door.
    package static func become() {
        setsid()
        // Started by way of /proc/self/exe it would be called "exe" in ps and top; prctl(2) names the calling thread
        // only, which need not be the first one.
        if let file = fopen("/proc/self/comm", "w") {
            fputs("latchkey", file)
            fclose(file)
        }
        for number in [SIGHUP, SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP] {
            signal(number, SIG_IGN)
        }
        _ = chdir("/")
        umask(0o077)
        // The last that the kernel should choose when memory runs out (proc_pid_oom_score_adj(5)); without the right
        // to say so it stays as it is.
        if let file = fopen("/proc/self/oom_score_adj", "w") {
            fputs("-1000", file)
            fclose(file)
        }
    }
}
