import Glibc
import Host
import Interview
import Netfilter
import SafeApply

/// Collects facts about the machine before the wizard asks its questions.
struct MachineDiscovery: Sendable {
    let environment: ChangeEnvironment
    /// The current rules; nil if they could not be read.
    let live: PerFamily<RuleSet>?
    /// The backend that a change would use; nil if there is none.
    let backend: Backend?
    /// The live table of the backend nftables; nil if there is none.
    let table: NFTable?
    /// The published ports of containers.
    let published: PublishedServices
    /// nftables tables that iptables does not show and that also decide about incoming packets.
    private let nftTables: [String]

    /// Reads the current rules.
    init(_ changeRunner: ChangeRunner, backend: Backend?) async {
        environment = changeRunner.environment
        let chosen = try? await ChosenBackend.find(backend, in: changeRunner.environment)
        self.backend = chosen
        if chosen == .nftables {
            let kernel = try? LiveTables(toolbox: environment.toolbox, runner: environment.runner)
            table = try? await kernel?.read([.latchkey]).first?.withoutTemporary
            // What iptables holds stays, and is only shown.
            let other = try? await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
            let rules = try? await Self.rules(other, changeRunner.environment)
            live = rules ?? (table == nil && !Self.isRoot ? nil : PerFamily())
        } else {
            table = nil
            live = try? await Self.rules(chosen, changeRunner.environment)
        }
        published = await PublishedServices(live: live, in: environment)
        nftTables =
            await NFTables(toolbox: environment.toolbox, runner: environment.runner)?.judgingInput() ?? []
    }

    /// All facts, as defaults for the questions.
    ///
    /// - Parameters:
    ///   - caller: The user and their connection.
    ///   - sshPorts: The ports that sshd listens on.
    /// - Returns: The facts. Unknown facts are missing.
    func discovery(caller: Caller, sshPorts: [UInt16]) -> Discovery {
        let sockets = SocketTable(environment.facts)
        let firewalls = OtherFirewalls(environment.facts).findings()
        let chains = live?.present.flatMap { family, rules in
            rules["filter"].map { table in
                table.chains.filter { $0.policy == nil && $0.name != PublishedChains.own }.map(\.name)
            } ?? []
        }
        var discovery = Discovery(
            peer: caller.proposal?.address, peerPort: caller.peerPort, sshPorts: sshPorts.isEmpty ? [22] : sshPorts,
            listeners: ReachableListeners.all(sockets, environment.facts).filter { found in
                // Packets from outside to a published port do not get to Docker's proxy.
                found.program != "docker-proxy"
                    || !published.ports.contains { $0.covers(found.port, found.transport) }
            }.map { found in
                Discovery.Listener(
                    program: found.program, port: found.port,
                    transport: found.transport, loopbackOnly: found.isLocalOnly,
                    peers: found.transport == .tcp
                        ? sockets.peers(ofPort: found.port) : [])
            },
            addresses: ownAddresses().filter { $0.scope == .global && $0.isUp }.map {
                Discovery.Address($0.address, interface: $0.interface)
            },
            rulesNow: live?.present.map { $0.value.tables.map(\.rules.count).reduce(0, +) }.reduce(0, +),
            unownedInputRules: live?.present.flatMap { RuleEdits.unowned(in: $0.value).map(\.withoutCounters.text) }
                ?? [],
            otherChains: Array(Set(chains ?? [])).sorted(),
            otherFirewalls: firewalls.filter(\.isInTheWay).map(\.name)
                + nftTables.map { "nft table \($0)" },
            docker: firewalls.contains { $0.name.lowercased().contains("docker") && $0.state == .running })
        discovery.managers = OtherManagers(environment.facts).findings.map {
            FoundManager($0.name, sentences: $0.sentences, canImport: ImportProgram(rawValue: $0.name) != nil)
        }
        let programs = Set(discovery.managers.map(\.name))
        let left = live?.present.map { $0.value.withoutAllRules(of: programs) } ?? []
        let leftRules = left.flatMap { RuleEdits.unowned(in: $0).map(\.withoutCounters.text) }
        discovery.managerRules = ManagerRules(
            chains: discovery.otherChains.filter { KnownFirewall.owns(chain: $0, anyOf: programs) },
            inputRules: discovery.unownedInputRules.filter { !leftRules.contains($0) })
        discovery.interfaceNames = ownInterfaces()
        discovery.networks = ownAddresses().filter { $0.scope == .global && $0.isUp }.compactMap { own in
            CIDR(of: own.address, prefixLength: own.prefixLength).map { .init($0, on: own.interface) }
        }
        discovery.peerEvidence = caller.proposal?.evidence
        discovery.ruleOwners = ruleOwners
        discovery.published = published.ports.filter { !$0.isLocalOnly }.map { port in
            Discovery.PublishedPort(port.ports, container: published.containers.name(of: port))
        }
        if backend == .nftables {
            discovery.hasOwnTable = true
            discovery.unownedInputRules = []
            discovery.rulesNow = discovery.rulesNow.map { $0 + ownRules }
        }
        return discovery
    }

    /// The number of rules in latchkey's own table.
    private var ownRules: Int { (table?.chains ?? []).map(\.rules.count).reduce(0, +) }

    /// The owners of the rules, detected by latchkey's comment, by the rule's chain, or by the chain that it jumps to.
    private var ruleOwners: [Discovery.RuleOwner] {
        var counts: [String: Int] = [:]
        if ownRules > 0 { counts[Discovery.RuleOwner.latchkey] = ownRules }
        for rule in live?.present.flatMap({ $0.value.tables.flatMap(\.rules) }) ?? [] {
            let known = KnownFirewall.owner(ofChain: rule.chain) ?? rule.jumpsTo.flatMap(KnownFirewall.owner(ofChain:))
            counts[rule.isOwned ? Discovery.RuleOwner.latchkey : known ?? Discovery.RuleOwner.unknown, default: 0] += 1
        }
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { Discovery.RuleOwner($0, count: $1) }
    }

    private static var isRoot: Bool { geteuid() == 0 }

    private static func rules(
        _ backend: Backend?, _ environment: ChangeEnvironment
    ) async throws(ChangeError) -> PerFamily<RuleSet> {
        try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
    }
}
