import Glibc
import Host
import Netfilter

/// Asks the kernel for the path of packets through all tables of nf_tables: `nft monitor trace`.
package struct KernelTrace: Sendable {
    private let stage: Stage
    private let nft: String
    private let tables: NFTables
    private let runner: any CommandRunner

    /// How long may still be waited for reports that do not come.
    private let patience = TracePatience()
    /// The interfaces where packets are marked as they arrive: chains at the hook ingress decide ahead of prerouting.
    private var ingress: [String] = []

    /// The table that marks the packets to trace; a table of the family alone, so that both can be traced at once.
    static let table = "latchkey-trace"
    /// The tables that mark packets of one family at the hook ingress, by the family.
    private static let ingressTables: [Family: String] = [.ipv4: "\(table)-ip", .ipv6: "\(table)-ip6"]
    /// Ahead of every other chain at the hook (nft(8), "Chains").
    private static let firstPriority = Int32.min
    /// NETLINK_NETFILTER and its group of traces, as /proc/net/netlink shows them.
    private static let netfilter = "12"
    private static let traceGroup: UInt32 = 1 << 8

    /// A trace of the server's packets; nil if nft is not installed.
    ///
    /// - Parameters:
    ///   - stage: the stage.
    ///   - toolbox: finds nft.
    ///   - runner: runs commands on the machine, such as those that enter the stage.
    package init?(on stage: Stage, toolbox: Toolbox, runner: any CommandRunner = SystemRunner()) {
        let there = StageRunner(stage, runner: runner)
        guard let nft = toolbox.find("nft"), let tables = NFTables(toolbox: toolbox, runner: there) else { return nil }
        self.stage = stage
        self.nft = nft
        self.tables = tables
        self.runner = there
    }

    /// The trace as chains need it that decide about incoming packets, and that the counters say nothing about.
    ///
    /// - Parameter counters: the counters that are read.
    /// - Returns: the trace; nil if there are no such chains.
    func ifNeeded(beside counters: any CounterSource) async -> KernelTrace? {
        var hidden: [InputHookChain] = []
        for chain in await tables.inputChains() where chain.tableTitle != NFTable.Name.latchkey.description {
            if await !counters.shows(chain) { hidden.append(chain) }
        }
        guard !hidden.isEmpty else { return nil }
        var trace = self
        trace.ingress = hidden.contains { $0.hook == "ingress" } ? stage.addresses.interfaces + ["lo"] : []
        return trace
    }

    /// Whether a table is one of those that mark packets.
    static func isOwn(_ table: String) -> Bool {
        let name = table.split(separator: " ").last.map(String.init)
        return name == Self.table || ingressTables.values.contains { $0 == name }
    }

    /// Follows the packets that are sent meanwhile.
    ///
    /// - Parameters:
    ///   - family: the family of the packets.
    ///   - isComplete: whether these are all the packets, with all that becomes of them.
    ///   - send: sends them.
    /// - Returns: the packets in the order of their arrival; none if the kernel cannot trace.
    func follow(
        _ family: Family, until isComplete: ([TracedPacket]) -> Bool, _ send: () async -> Void
    ) async -> Report {
        let protocolName = family == .ipv4 ? "ip" : "ip6"
        var names = ["\(protocolName) \(Self.table)"]
        var rules =
            "table \(names[0]) { chain prerouting { type filter hook prerouting priority -400; "
            + "meta nftrace set 1; }; }\n"
        if !ingress.isEmpty, let table = Self.ingressTables[family] {
            names.append("netdev \(table)")
            let devices = ingress.map { "\"\($0)\"" }.joined(separator: ", ")
            rules +=
                "table netdev \(table) { chain ingress { type filter hook ingress devices = { \(devices) } "
                + "priority \(Self.firstPriority); meta protocol \(protocolName) meta nftrace set 1; }; }\n"
        }
        guard await isDone(["-f", "-"], input: rules) else { return Report(packets: [], isWhole: false) }
        let monitor = try? TraceMonitor(stage.enterCommand([nft, "monitor", "trace"]))
        var isWhole = false
        if let monitor, await isListening() {
            await send()
            let begun = ContinuousClock.now
            let end = await monitor.settle(within: patience.limit, isIdle: { socket()?.isEmpty ?? false }) {
                isComplete(TracedPacket.read($0))
            }
            if end != .complete { patience.spend(ContinuousClock.now - begun) }
            isWhole = end != .late && socket()?.hasLost == false
        }
        monitor?.end()
        let removal = names.map { "delete table \($0)\n" }.joined()
        _ = await isDone(["-f", "-"], input: removal)
        return Report(packets: TracedPacket.read(monitor?.text ?? ""), isWhole: isWhole)
    }

    /// What was seen of packets.
    struct Report {
        /// The packets in the order of their arrival.
        let packets: [TracedPacket]
        /// Whether all that the kernel reported was read: what is missing then has not met the trace.
        let isWhole: Bool
    }

    /// Whether waiting for reports that do not come has taken too long already.
    var isExhausted: Bool { patience.isOver }

    private func isDone(_ arguments: [String], input: String = "") async -> Bool {
        let result = try? await runner.run(Command(nft, arguments, input: Array(input.utf8)))
        return result?.status == 0
    }

    /// Waits until a monitor in the stage has subscribed to the kernel's traces; what came before would be lost.
    private func isListening() async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            if socket() != nil { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// The queues of the monitors that have subscribed, together.
    private struct Socket {
        /// Whether all reports have been read.
        var isEmpty = true
        /// Whether reports were lost because nobody read in time.
        var hasLost = false
    }

    /// The monitors' sockets in the stage; nil if there is none.
    private func socket() -> Socket? {
        let path = "/proc/\(stage.processID(of: .server))/net/netlink"
        guard let sockets = try? SecureFiles.read(path) else { return nil }
        var found: Socket?
        for line in String(decoding: sockets, as: UTF8.self).split(separator: "\n") {
            // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 8, fields[1] == Self.netfilter,
                (UInt32(fields[3], radix: 16) ?? 0) & Self.traceGroup != 0
            else { continue }
            var socket = found ?? Socket()
            if fields[4] != "0" { socket.isEmpty = false }
            if fields[8] != "0" { socket.hasLost = true }
            found = socket
        }
        return found
    }
}
