import CLinux
import Glibc

/// A descriptor of a process, which becomes readable when the process ends (pidfd_open(2)).
package final class ProcessDescriptor {
    /// For poll(2).
    package let descriptor: Int32

    /// The descriptor of a process; nil if it has ended, or before Linux 5.3.
    package init?(_ pid: Int32) {
        descriptor = latchkey_process_descriptor(pid)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }
}
