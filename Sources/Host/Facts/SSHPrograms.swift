extension ProcessTable {
    /// The folders of sshd-session in the systems that have it: OpenSSH's own default, Debian, Red
    /// Hat, Arch and Alpine, SUSE, Gentoo.
    private static let sessionFolders = [
        "/usr/libexec", "/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec/ssh",
        "/usr/lib64/misc", "/usr/local/libexec",
    ]

    /// The paths of the programs that sshd executes for each connection: itself, or sshd-session since OpenSSH 9.8.
    ///
    /// - Returns: paths that exist; links to the programs of sshd's present processes among them.
    package func sshPrograms() -> [String] {
        let processes = all(named: ["sshd"])
        let running = processes.map { "\(source.proc)/\($0.pid)/exe" }
        let siblings = Set(processes.compactMap { executable(of: $0.pid) })
            .map { "\(SecureFiles.folder(of: $0))/../libexec/sshd-session" }
        let known = ["/usr/sbin/sshd"] + (Self.sessionFolders.map { "\($0)/sshd-session" })
        return running + (known + siblings).map(source.path).filter(SecureFiles.exists)
    }
}
