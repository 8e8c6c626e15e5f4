import Host
import Netfilter
import Rehearsal
import SafeApply

/// The programs that load and read rules on a stage.
struct StageKernel: Sendable {
    let stage: Stage
    let backend: Backend
    /// iptables of the backend; nil for nftables.
    let iptables: LiveRules?
    /// nft; nil if it is not installed.
    let nft: NFTables?
    /// ipset; nil if it is not installed.
    let sets: IPSets?
    /// The counters of the backend's rules.
    let counters: any CounterSource
    /// The way of the packets that are tested.
    let path: PacketPath
    private let environment: ChangeEnvironment
    private let runner: any CommandRunner

    /// The table that makes the kernel track connections before there are rules.
    private static let tracking = "inet latchkey-track"

    /// Finds the programs.
    ///
    /// - Throws: `ChangeError`, `HostError` if the backend's are not installed.
    init(
        _ stage: Stage, _ backend: Backend, _ environment: ChangeEnvironment, path: PacketPath = .incoming
    ) async throws {
        self.stage = stage
        self.path = path
        self.backend = backend
        self.environment = environment
        runner = StageRunner(stage, runner: environment.runner)
        nft = NFTables(toolbox: environment.toolbox, runner: runner)
        sets = IPSets(toolbox: environment.toolbox, runner: runner)
        guard backend != .nftables else {
            iptables = nil
            counters = try NFTablesCounters(
                families: environment.families, toolbox: environment.toolbox, runner: runner, path: path)
            return
        }
        let rules = try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox, runner: runner)
        iptables = rules
        counters = IPTablesCounters(
            Dictionary(uniqueKeysWithValues: rules.tools.present.map { ($0.family, $0.value) }), path: path)
    }

    /// iptables of any backend, inside the stage; nil if it is not installed.
    func iptables(of other: Backend) async -> LiveRules? {
        if other == backend { return iptables }
        return try? await LiveRules(
            backend: other, families: environment.families, toolbox: environment.toolbox, runner: runner)
    }

    /// A rehearsal of the stage's rules.
    var rehearsal: Rehearsal {
        // The trace does not tell which of the chains that forward decided.
        Rehearsal(
            on: stage, counters: counters,
            kernelTrace: path == .forwarded
                ? nil : KernelTrace(on: stage, toolbox: environment.toolbox, runner: environment.runner))
    }

    /// Makes the stage's kernel track connections before the rules are loaded, as the guard does.
    func track() async throws {
        guard let iptables else {
            try await nft?.load(
                "table \(Self.tracking) { chain input { type filter hook input priority filter; "
                    + "ct state established,related accept; }; }\n")
            return
        }
        let text = "*filter\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
        for (_, tool) in iptables.tools.present { try await tool.restore(Array(text.utf8), flush: false) }
    }

    /// Removes what `track` made, if it is not part of the rules; the kernel still knows the connections.
    func endTracking() async throws {
        if iptables == nil { try await nft?.delete(Self.tracking) }
    }
}
