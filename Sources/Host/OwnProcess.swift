import Glibc

/// This process, as the kernel sees it.
package enum OwnProcess {
    /// Its process ID.
    package static var pid: Int32 { getpid() }
    /// Its effective user; 0 is root.
    package static var user: UInt32 { geteuid() }
    /// Whether it may change the firewall.
    package static var isRoot: Bool { user == 0 }
}
