import Host
import Logging
import Netfilter

/// Everything outside the code that a change depends on; injected.
package struct ChangeEnvironment: Sendable {
    /// The locations of latchkey's files.
    package var layout: Layout
    /// The locations of programs.
    package var toolbox: Toolbox
    /// Runs programs.
    package var runner: any CommandRunner
    /// The boot clock and the date.
    package var clock: BootClock
    /// Reads SSH connections.
    package var witness: ConnectionWitness
    /// The kernel's names for this boot and this network namespace: rules exist only in one boot and one namespace.
    package var bootID: String
    /// The address families that the kernel has.
    package var families: [Family]
    /// Where facts about the machine are read.
    package var facts: FactSource
    /// What starts services at boot.
    package var initSystem: InitSystem
    /// The folder in which the kernel shows the lists of the `recent` match.
    package var recentFolder = RecentList.folder
    /// The guard's log.
    package var log: Logger

    /// Creates an environment; see the properties.
    package init(
        layout: Layout, toolbox: Toolbox, runner: any CommandRunner, clock: BootClock, witness: ConnectionWitness,
        bootID: String, families: [Family], facts: FactSource = FactSource(), log: Logger
    ) {
        self.layout = layout
        self.toolbox = toolbox
        self.runner = runner
        self.clock = clock
        self.witness = witness
        self.bootID = bootID
        self.families = families
        self.log = log
        self.facts = facts
        initSystem = InitSystem(layout, source: facts)
    }

    /// The environment of this machine, with latchkey's files at the locations of the layout.
    package static func system(
        _ layout: Layout, facts: FactSource = FactSource(), log: Logger
    ) -> ChangeEnvironment {
        let network = ProcessTable(facts).networkNamespace(of: OwnProcess.pid) ?? "unknown"
        let place = "\(SystemFacts(facts).bootID ?? "unknown") \(network)"
        return ChangeEnvironment(
            layout: layout, toolbox: Toolbox(layout: layout), runner: SystemRunner(), clock: .system,
            witness: .system(facts), bootID: place,
            families: NetworkFacts(facts).ipv6 == .absent ? [.ipv4] : [.ipv4, .ipv6], facts: facts, log: log)
    }
}
