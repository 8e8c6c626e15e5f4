import Netfilter

/// The ports of the SSH server, and where each was found.
package struct SSHPorts: Sendable, Equatable {
    /// Where an SSH port was found.
    package enum Source: Sendable, Hashable {
        /// `sshd -T`.
        case configuration
        /// The text of a configuration file, if `sshd -T` failed.
        case configurationFile(String)
        /// A socket unit's ListenStream.
        case socketUnit(file: String)
        /// A listening socket, and the program that holds it.
        case listener(program: String)
    }

    /// The ports, ascending; empty if none was found.
    package internal(set) var ports: [UInt16]
    /// Where each port was found.
    package internal(set) var evidence: [UInt16: Set<Source>]
    /// What could not be read, for `doctor`.
    package internal(set) var problems: [String]

    package init(evidence: [UInt16: Set<Source>] = [:], problems: [String] = []) {
        self.ports = evidence.keys.sorted()
        self.evidence = evidence
        self.problems = problems
    }
}

/// Finds the ports of this machine's SSH server.
package struct SSHServer: Sendable {
    private let source: FactSource

    package init(_ source: FactSource = FactSource()) { self.source = source }

    /// The ports of sshd: those of its configuration, of its socket units and of its listening sockets together.
    ///
    /// Each source alone can be wrong: the configuration may have changed since sshd started, a socket unit may
    /// override it, or a listener may not be up yet.
    ///
    /// - Parameters:
    ///   - sshd: The path of sshd, or `nil` if there is none.
    ///   - runner: Runs `sshd -T`, which needs root.
    /// - Returns: The ports with their origins, and what could not be read.
    package func ports(sshd: String?, runner: any CommandRunner) async -> SSHPorts {
        var evidence: [UInt16: Set<SSHPorts.Source>] = [:]
        var problems: [String] = []
        func add(_ ports: some Sequence<UInt16>, _ source: SSHPorts.Source) {
            for port in ports { evidence[port, default: []].insert(source) }
        }

        if let sshd {
            do {
                add(Self.ports(configuration: try await runner.check(Command(sshd, ["-T"])).text), .configuration)
            } catch {
                problems.append("sshd does not report its settings: \(error)")
                for (file, ports) in configurationFiles() { add(ports, .configurationFile(file)) }
            }
        }
        let listening = SocketTable(source, transports: [.tcp], states: [.listen]).rows
        let processes = ProcessTable(source)
        let socketPorts = socketUnits(heldByInit: processes.socketInodes(of: 1) ?? [], listening: listening)
        for (port, file) in socketPorts { add([port], .socketUnit(file: file)) }
        for process in processes.all(named: ["sshd"]) where process.effectiveUser == 0 {
            // A session also listens, for its forwarded ports.
            let title = processes.title(of: process.pid) ?? ""
            guard !SSHConnections.isConnection(title: title), let inodes = processes.socketInodes(of: process.pid)
            else { continue }
            add(listening.filter { inodes.contains($0.inode) }.map(\.local.port), .listener(program: process.name))
        }
        return SSHPorts(evidence: evidence, problems: problems)
    }

    // MARK: Configuration

    /// The ports in the output of `sshd -T`: those of its addresses, else of `port`.
    static func ports(configuration text: String) -> Set<UInt16> {
        let settings = text.split(whereSeparator: \.isNewline).map { $0.split(separator: " ", maxSplits: 1) }
            .filter { $0.count == 2 }
        // An address with its own port makes sshd ignore `port`; sshd -T lists every address with its port.
        let addresses = settings.filter { $0[0].lowercased() == "listenaddress" }
            .compactMap { setting in
                setting[1].split(separator: " ").first.flatMap { $0.split(separator: ":").last }
                    .flatMap { setting[1].contains(":") ? UInt16($0) : nil }
            }
        if !addresses.isEmpty { return Set(addresses) }
        return Set(settings.filter { $0[0].lowercased() == "port" }.compactMap { UInt16($0[1]) })
    }

    /// `Port` and `ListenAddress` of sshd_config and its usual drop-in folder, before any `Match`.
    private func configurationFiles() -> [(file: String, ports: Set<UInt16>)] {
        let folder = "/etc/ssh/sshd_config.d"
        let files =
            ["/etc/ssh/sshd_config"]
            + source.names(in: folder).filter { $0.hasSuffix(".conf") }.map { "\(folder)/\($0)" }
        let found = files.compactMap { file -> (file: String, ports: Set<UInt16>)? in
            guard let lines = source.lines(file) else { return nil }
            var ports: Set<UInt16> = []
            for line in lines {
                let words = line.split(whereSeparator: { $0.isWhitespace || $0 == "=" || $0 == "\"" })
                guard let key = words.first?.lowercased(), words.count >= 2 else { continue }
                if key == "match" { break }
                if key == "port", let port = UInt16(words[1]) { ports.insert(port) }
                // `host:port` and `[v6]:port` name a port, a bare IPv6 address does not.
                if key == "listenaddress", words[1].hasPrefix("[") || words[1].filter({ $0 == ":" }).count == 1,
                    let port = words[1].split(separator: ":").last.flatMap({ UInt16($0) })
                {
                    ports.insert(port)
                }
            }
            return (file, ports)
        }
        guard let first = found.first, found.allSatisfy(\.ports.isEmpty) else { return found }
        return [(first.file, [22])]
    }

    // MARK: Socket activation

    /// The ports of ssh.socket (Debian) and sshd.socket (others), if they are enabled or held open by PID 1.
    private func socketUnits(heldByInit: Set<UInt64>, listening: [SocketRow]) -> [(port: UInt16, file: String)] {
        let units = SystemdUnits(source)
        let open = Set(listening.filter { heldByInit.contains($0.inode) }.map(\.local.port))
        return ["ssh.socket", "sshd.socket"].filter { !units.isMasked($0) }.flatMap { unit in
            let isEnabled = units.isEnabled(unit)
            return units.values(of: "ListenStream", in: unit).compactMap { stream in
                Self.port(stream: stream.value).map { (port: $0, file: stream.file) }
            }.filter { isEnabled || open.contains($0.port) }
        }
    }

    /// `22`, `192.0.2.1:22`, `[::]:22`; a path or another kind of socket has no port.
    static func port(stream: String) -> UInt16? {
        if let port = UInt16(stream) { return port }
        guard !stream.hasPrefix("/"), !stream.hasPrefix("@"), !stream.hasPrefix("vsock:"),
            let last = stream.split(separator: ":").last, stream.contains(":")
        else { return nil }
        return UInt16(last)
    }
}
