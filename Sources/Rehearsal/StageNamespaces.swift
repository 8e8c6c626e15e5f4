import Host

/// The paths of the programs that create and enter namespaces.
package struct StageTools: Sendable {
    /// unshare(1) of util-linux.
    package let unshare: String
    /// nsenter(1) of util-linux.
    package let nsenter: String
    /// ip(8) of iproute2.
    package let ip: String

    /// Finds the tools.
    ///
    /// - Throws: `toolMissing`.
    package init(_ toolbox: Toolbox) throws(HostError) {
        unshare = try toolbox.need("unshare")
        nsenter = try toolbox.need("nsenter")
        ip = try toolbox.need("ip")
    }
}

/// The namespaces of a stage, and the commands that create and enter them.
///
/// Process IDs are those that this process sees, of processes that it started itself: unshare and nsenter remain the
/// parents of the agents, in the same network namespace.
struct StageNamespaces: Sendable {
    let server: Int32
    let outside: Int32?
    /// The containers' namespace; nil if there is none.
    var containers: Int32?
    let isUser: Bool

    func with(outside: Int32, containers: Int32?) -> StageNamespaces {
        StageNamespaces(server: server, outside: outside, containers: containers, isUser: isUser)
    }

    /// Starts the agent as the first process of the server.
    ///
    /// The user namespace is created before the others: if they are created together, the network namespace's root is
    /// not mapped yet and may not read /proc/net/ip_tables_names, without which iptables-legacy-save fails.
    static func makeServer(_ agent: [String], _ tools: StageTools, inUserNamespace: Bool) -> [String] {
        let user = inUserNamespace ? [tools.unshare, "--user", "--map-root-user", "--"] : []
        return user
            + [tools.unshare, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"] + agent
    }

    /// Starts the agent in a network namespace next to the server's, among the server's processes.
    func makeOutside(_ agent: [String], _ tools: StageTools) -> [String] {
        // /proc must be the caller's until the last step, and nsenter forks last: the process that was started
        // is then itself in the new network namespace, so that others can enter it through this process.
        let user = isUser ? [tools.nsenter, "--user=\(path("user"))", "--preserve-credentials", "--"] : []
        return user + [tools.unshare, "--net", "--"]
            + [tools.nsenter, "--mount=\(path("mnt"))", "--pid=\(path("pid_for_children"))", "--"] + agent
    }

    /// Runs a command in a place.
    func enter(_ place: Stage.Place, _ words: [String], _ tools: StageTools) -> [String] {
        let network =
            switch place {
            case .server: server
            case .outside: outside ?? server
            case .containers: containers ?? server
            }
        return [tools.nsenter] + user
            + ["--net=/proc/\(network)/ns/net", "--mount=\(path("mnt"))", "--pid=\(path("pid_for_children"))", "--"]
            + words
    }

    /// Runs a command in the server's network, but among the caller's processes, whose IDs may be passed to it.
    func enterNetworkOfServer(_ words: [String], _ tools: StageTools) -> [String] {
        [tools.nsenter] + user + ["--net=\(path("net"))", "--"] + words
    }

    private var user: [String] { isUser ? ["--user=\(path("user"))", "--preserve-credentials"] : [] }

    private func path(_ kind: String) -> String { "/proc/\(server)/ns/\(kind)" }
}
