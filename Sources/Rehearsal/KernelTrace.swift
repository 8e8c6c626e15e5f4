import Glibc
import Host
import Netfilter

/// Asks the kernel for the path of packets through all tables of nf_tables: `nft monitor trace`.
package struct KernelTrace: Sendable {
    private let stage: Stage
    private let nft: String
    private let tables: NFTables
    private let runner: any CommandRunner

    /// The table that marks the packets to trace; a table of the family alone, so that both can be traced at once.
    static let table = "latchkey-trace"
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

    /// Whether chains decide about incoming packets that the counters say nothing about.
    ///
    /// - Parameter counters: the counters that are read.
    /// - Returns: whether there are such chains.
    func isNeeded(beside counters: any CounterSource) async -> Bool {
        for chain in await tables.inputChains() where chain.tableTitle != NFTable.Name.latchkey.description {
            if await !counters.shows(chain) { return true }
        }
        return false
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
    ) async -> [TracedPacket] {
        let name = "\(family == .ipv4 ? "ip" : "ip6") \(Self.table)"
        let rules =
            "table \(name) { chain prerouting { type filter hook prerouting priority -400; "
            + "meta nftrace set 1; }; }\n"
        guard await isDone(["-f", "-"], input: rules) else { return [] }
        let monitor = try? TraceMonitor(stage.enterCommand([nft, "monitor", "trace"]))
        if let monitor, await isListening() {
            await send()
            await monitor.settle { isComplete(TracedPacket.read($0)) }
        }
        monitor?.end()
        _ = await isDone(["delete", "table"] + name.split(separator: " ").map(String.init))
        return TracedPacket.read(monitor?.text ?? "")
    }

    private func isDone(_ arguments: [String], input: String = "") async -> Bool {
        let result = try? await runner.run(Command(nft, arguments, input: Array(input.utf8)))
        return result?.status == 0
    }

    /// Waits until a monitor in the stage has subscribed to the kernel's traces; what came before would be lost.
    private func isListening() async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            let path = "/proc/\(stage.processID(of: .server))/net/netlink"
            guard let sockets = try? SecureFiles.read(path) else { return false }
            let isThere = String(decoding: sockets, as: UTF8.self).split(separator: "\n").contains { line in
                let fields = line.split(separator: " ", omittingEmptySubsequences: true)
                guard fields.count > 3, fields[1] == Self.netfilter else { return false }
                return (UInt32(fields[3], radix: 16) ?? 0) & Self.traceGroup != 0
            }
            if isThere { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }
}
