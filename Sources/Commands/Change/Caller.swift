import Glibc
import Host
import Netfilter
import Policy
import SafeApply

/// Who runs this command, and how they came here.
struct Caller: Sendable {
    /// How they came, by what the kernel knows.
    let origin: SessionOrigin
    /// Where they seem to come from when no connection stands above this process.
    let hint: OriginHint?

    /// Looks at this process's ancestors.
    init(_ facts: FactSource) {
        let connections = SSHConnections(ProcessTable(facts))
        origin = connections.origin(of: OwnProcess.pid)
        if case .ssh = origin { hint = nil } else { hint = connections.hint(of: OwnProcess.pid) }
    }

    /// The other end of their SSH connection, also when it is one that shows this window of tmux or its like.
    var peer: IPAddress? {
        switch origin {
        case .ssh(let monitor): monitor.remote.address
        case .remoteUnproven, .local: window?.address
        }
    }

    /// The port of this machine that their SSH connection uses.
    var peerPort: UInt16? {
        if case .ssh(let monitor) = origin { return monitor.local.port }
        return window?.port
    }

    /// This machine's own end of their SSH connection, where that is known.
    var door: IPAddress? {
        guard case .ssh(let monitor) = origin else { return nil }
        return monitor.local.address
    }

    /// The hint, where it is a living connection.
    private var window: OriginHint? {
        guard let hint, case .window = hint.evidence else { return nil }
        return hint
    }

    /// The address to propose, with how it is known where it is not by their own connection.
    var proposal: (address: IPAddress, evidence: String?)? {
        if case .ssh = origin { return peer.map { ($0, nil) } }
        guard let hint else { return nil }
        let address = hint.address
        switch hint.evidence {
        case .window(let program): return (address, "by SSH, through \(program)")
        case .variable: return (address, "by SSH, as SSH_CONNECTION says; that may be old")
        }
    }

    /// Who they are, for the records.
    var requester: Requester { Requester(user: Self.loginName, address: peer?.description) }

    /// The name behind the login: sudo and su leave the kernel's login user as it was (/proc/PID/loginuid).
    private static var loginName: String {
        let text = (try? SecureFiles.read("/proc/self/loginuid")).map { String(decoding: $0, as: UTF8.self) }
        let login = text.flatMap { UInt32($0.prefix { $0.isNumber }) }
        let user = login.flatMap { $0 == .max ? nil : $0 } ?? getuid()
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }
}
