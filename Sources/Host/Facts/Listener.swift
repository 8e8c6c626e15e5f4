import Netfilter

/// A port on which a program of this machine listens, both families together.
package struct Listener: Sendable, Hashable {
    package let transport: TransportProtocol
    package let port: UInt16
    /// The program's name, or `nil` when it is not visible.
    package let program: String?
    package let pids: [Int32]
    /// The addresses it listens on, sorted; 0.0.0.0 and :: mean all.
    package let addresses: [IPAddress]
    /// Whether it is UDP on an ephemeral port, which the kernel chose for the program: most likely a client's.
    ///
    /// A listening TCP socket serves others, whatever its port.
    package let isEphemeral: Bool

    package init(
        transport: TransportProtocol, port: UInt16, program: String?, pids: [Int32] = [], addresses: [IPAddress],
        isEphemeral: Bool = false
    ) {
        self.transport = transport
        self.port = port
        self.program = program
        self.pids = pids
        self.addresses = addresses
        self.isEphemeral = isEphemeral
    }

    /// Whether only programs on this machine can reach it.
    package var isLocalOnly: Bool { addresses.allSatisfy(\.isLoopback) }
}

/// All listeners, by port, protocol and program.
///
/// - Parameters:
///   - source: Where procfs is.
///   - table: The sockets; without it, those of this program's network namespace.
/// - Returns: The listeners, sorted by port, protocol and program.
package func listeners(_ source: FactSource = FactSource(), table: SocketTable? = nil) -> [Listener] {
    struct Key: Hashable {
        let transport: TransportProtocol
        let port: UInt16
        let program: String?
    }
    let rows = (table ?? .listening(source)).rows.filter(\.isListening)
    let wanted = Set(rows.map(\.inode)).subtracting([0])
    let processes = ProcessTable(source)
    var owners: [UInt64: [ProcessFacts]] = [:]
    for process in wanted.isEmpty ? [] : processes.all() {
        for inode in (processes.socketInodes(of: process.pid) ?? []).intersection(wanted) {
            owners[inode, default: []].append(process)
        }
    }
    let ephemeral = ephemeralPorts(source)
    let found = rows.flatMap { row -> [(key: Key, row: SocketRow)] in
        let names = Set((owners[row.inode] ?? []).map(processes.programName(of:)))
        let programs: [String?] = names.isEmpty ? [nil] : names.sorted()
        return programs.map { (Key(transport: row.transport, port: row.local.port, program: $0), row) }
    }
    return Dictionary(grouping: found, by: \.key).map { key, entries in
        let holders = entries.flatMap { owners[$0.row.inode] ?? [] }
            .filter { processes.programName(of: $0) == key.program }
        return Listener(
            transport: key.transport, port: key.port, program: key.program, pids: Set(holders.map(\.pid)).sorted(),
            addresses: Set(entries.map(\.row.local.address)).sorted(),
            isEphemeral: key.transport == .udp && ephemeral.contains(key.port))
    }
    .sorted { ($0.port, $0.transport, $0.program ?? "") < ($1.port, $1.transport, $1.program ?? "") }
}

/// net.ipv4.ip_local_port_range, which also applies to IPv6 (ip(7)).
private func ephemeralPorts(_ source: FactSource) -> ClosedRange<UInt16> {
    let numbers = (source.procLines("sys/net/ipv4/ip_local_port_range")?.first ?? "")
        .split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
    guard numbers.count == 2, numbers[0] <= numbers[1] else { return 32768...60999 }
    return numbers[0]...numbers[1]
}
