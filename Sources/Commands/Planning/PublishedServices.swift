import Host
import Netfilter
import Policy
import SafeApply

/// The ports that rules of Docker, Podman and others publish now, and the containers they belong to.
struct PublishedServices: Sendable {
    /// The ports, each once.
    let ports: [PublishedPort]
    /// The names of their containers.
    let containers: PublishedContainers

    /// Reads the tables of nftables, and the names of containers if a port is published.
    ///
    /// - Parameters:
    ///   - live: the active rules of iptables; nil if they could not be read.
    ///   - environment: the machine.
    init(live: PerFamily<RuleSet>?, in environment: ChangeEnvironment) async {
        let tables = (try? await NFTables(toolbox: environment.toolbox, runner: environment.runner)?.tables()) ?? []
        await self.init((live?.present ?? []).map(\.value), tables, in: environment)
    }

    /// The published ports in rules that were read.
    ///
    /// - Parameters:
    ///   - rules: the rules of iptables.
    ///   - tables: the tables of nftables; those that iptables shows are ignored.
    ///   - environment: the machine.
    init(_ rules: [RuleSet], _ tables: [NFTable], in environment: ChangeEnvironment) async {
        var seen: Set<PublishedPort> = []
        let others = tables.filter { !$0.isDormant && !($0.isOfIPTables && !rules.isEmpty) }
        ports = (rules.flatMap(PublishedPort.all) + PublishedPort.all(in: others)).filter { seen.insert($0).inserted }
        containers =
            ports.isEmpty
            ? PublishedContainers(listings: [])
            : await PublishedContainers(
                toolbox: environment.toolbox, runner: environment.runner, facts: environment.facts)
    }
}

extension Plan {
    /// What the plan changes for the programs that run now.
    ///
    /// - Parameters:
    ///   - listeners: the listeners that other machines can reach now.
    ///   - services: the published ports; with `replace`, the rules that publish them go.
    /// - Returns: the effects.
    func effects(on listeners: [PlanEffects.Listener], _ services: PublishedServices) -> PlanEffects {
        effects(
            on: listeners, published: answers.existing == .keep ? services.ports : [],
            container: services.containers.name)
    }
}
