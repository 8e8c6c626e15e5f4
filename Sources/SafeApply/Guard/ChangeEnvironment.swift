import Host
import Logging
import Netfilter

/// Everything outside that a change touches; injected.
package struct ChangeEnvironment: Sendable {
    /// Where the files lie.
    package var layout: Layout
    /// Where programs lie.
    package var toolbox: Toolbox
    /// Runs programs.
    package var runner: any CommandRunner
    /// The boot clock and the date.
    package var clock: BootClock
    /// What is known of SSH connections.
    package var witness: ConnectionWitness
    /// The kernel's names for this boot and for this network: rules are gone with the one, and others in another.
    package var bootID: String
    /// The address families that the kernel has.
    package var families: [Family]
    /// Where facts about the machine are read.
    package var facts: FactSource
    /// What starts services at boot.
    package var initSystem: InitSystem
    /// Where the kernel shows the lists of the match `recent`.
    package var recentFolder = RecentList.folder
    /// Where the guard says what it does.
    package var log: Logger

    /// Given surroundings; see the properties.
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

    /// The machine itself, with latchkey's files where the layout says.
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
