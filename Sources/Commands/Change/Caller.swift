import Glibc
import Host
import Netfilter
import Policy
import SafeApply

/// Who runs this command, and over which connection.
struct Caller: Sendable {
    /// The connection, as the kernel shows it.
    let origin: SessionOrigin
    /// Where they probably come from, if this process has no SSH connection among its ancestors.
    let hint: OriginHint?

    /// Looks at this process's ancestors.
    init(_ facts: FactSource) {
        let connections = SSHConnections(ProcessTable(facts))
        origin = connections.origin(of: OwnProcess.pid)
        if case .ssh = origin { hint = nil } else { hint = connections.hint(of: OwnProcess.pid) }
    }

    /// The client's address of their SSH connection, also of one that is attached to this window of tmux or screen.
    var peer: IPAddress? {
        switch origin {
        case .ssh(let monitor): monitor.remote.address
        case .remoteUnproven, .local: window?.address
        }
    }

    /// The server port of their SSH connection.
    var peerPort: UInt16? {
        if case .ssh(let monitor) = origin { return monitor.local.port }
        return window?.port
    }

    /// The server address of their SSH connection, if it is known.
    var serverAddress: IPAddress? {
        guard case .ssh(let monitor) = origin else { return nil }
        return monitor.local.address
    }

    /// The hint, if it comes from an open connection.
    private var window: OriginHint? {
        guard let hint, case .window = hint.evidence else { return nil }
        return hint
    }

    /// The address to propose as an admin, and where it comes from if that is not their own connection.
    var proposal: (address: IPAddress, evidence: String?)? {
        if case .ssh = origin { return peer.map { ($0, nil) } }
        guard let hint else { return nil }
        let address = hint.address
        switch hint.evidence {
        case .window(let program): return (address, "by SSH, through \(program)")
        case .variable: return (address, "by SSH, according to SSH_CONNECTION, which may be out of date")
        }
    }

    /// Who they are, for the history.
    var requester: Requester { Requester(user: Self.loginName, address: peer?.description) }

    /// The user who logged in: sudo and su do not change the kernel's login user (/proc/PID/loginuid).
    private static var loginName: String {
        let text = (try? SecureFiles.read("/proc/self/loginuid")).map { String(decoding: $0, as: UTF8.self) }
        let login = text.flatMap { UInt32($0.prefix { $0.isNumber }) }
        let user = login.flatMap { $0 == .max ? nil : $0 } ?? getuid()
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }
}
