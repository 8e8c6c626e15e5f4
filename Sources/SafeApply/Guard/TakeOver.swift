import Host
import Logging
import Netfilter

/// Other firewall managers that go when a change is kept.
///
/// While the change is pending they stay as they are, beneath the trial, so that a rollback has nothing to do with them.
package struct TakeOver: Codable, Sendable, Equatable {
    /// The managers.
    package var managers: [ManagerControl]
    /// The nft tables that go with them, as nft(8) reads them; "" for none.
    ///
    /// A manager that removes its tables itself, when it stops, has none here.
    package var tables: String
    /// A table with the rules of the change, for the moment in which the managers stop; nil if there is none.
    ///
    /// Some of them remove the rules of all programs then. In a table of its own, nobody but latchkey removes it.
    package var shield: String?

    /// The managers of a change, and those that earlier ones took over.
    static func managers(_ takeOver: TakeOver?, besides earlier: [ManagerControl]?) -> [ManagerControl]? {
        let new = takeOver?.managers ?? []
        let all = (earlier ?? []).filter { manager in !new.contains { $0.name == manager.name } } + new
        return all.isEmpty ? nil : all
    }

    /// A shield that holds the rules of a table.
    package static func shield(with table: NFTable) -> String {
        NFTable(shieldName, lines: table.lines, parts: table.parts).text
    }

    /// A shield for rules that are not known as a table of nftables: no new connections, from the server itself and to
    /// others excepted.
    ///
    /// A client tries to connect again, so its connection is only delayed. The kernel ends this shield by itself: with all
    /// processes of latchkey dead, it must not stay.
    package static let closedShield = """
        table \(shieldName) {
        \tset active {
        \t\ttype ether_type
        \t\tflags timeout
        \t\telements = { ip timeout \(closedSeconds)s, ip6 timeout \(closedSeconds)s }
        \t}
        \tchain input {
        \t\ttype filter hook input priority filter; policy accept;
        \t\tmeta protocol @active goto closed
        \t}
        \tchain closed {
        \t\tct state established,related accept
        \t\tiif "lo" accept
        \t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
        \t\tdrop
        \t}
        }

        """

    /// How long that shield lasts: longer than managers usually take to stop.
    private static let closedSeconds = 30

    /// The name of the shield.
    package static let shieldName = NFTable.Name("inet", "latchkey-shield")

    /// A take-over; see the properties.
    package init(managers: [ManagerControl], tables: String = "", shield: String? = nil) {
        self.managers = managers
        self.tables = tables
        self.shield = shield
    }

    /// Their names, for a sentence.
    package var names: String { managers.map(\.name).joined(separator: " and ") }

    /// The commands that a person types to have them back.
    package var startText: String { managers.map(\.startText).joined(separator: "; ") }
}

/// The managers that a change takes over, and the kernel they are in.
struct ManagerHandover: Sendable {
    let takeOver: TakeOver
    let environment: ChangeEnvironment

    /// How long a manager may take to stop or start, in seconds.
    private static let patience = 60
    private static let shield = TakeOver.shieldName

    /// The names of the managers.
    var names: Set<String> { Set(takeOver.managers.map(\.name)) }

    private var nft: NFTables? { NFTables(toolbox: environment.toolbox, runner: environment.runner) }

    /// Loads the shield, if there is one and the kernel accepts it.
    ///
    /// - Returns: whether it is active.
    func raiseShield() async -> Bool {
        guard let text = takeOver.shield, let nft else { return false }
        do throws(HostError) {
            // Another guard may have died with it loaded.
            try await nft.load("add table \(Self.shield)\ndelete table \(Self.shield)\n" + text)
            return true
        } catch {
            environment.log.warning("The table that covers the change of managers could not be loaded: \(error)")
            return false
        }
    }

    /// Removes the shield.
    func lowerShield() async {
        guard takeOver.shield != nil, let nft else { return }
        do throws(HostError) { try await nft.load("add table \(Self.shield)\ndelete table \(Self.shield)\n") } catch {
            environment.log.error(
                "The table \(Self.shield) could not be removed; it holds the kept rules once more: \(error)")
        }
    }

    /// Disables and stops the managers, and removes their tables.
    ///
    /// It is idempotent: a guard may die in the middle.
    ///
    /// - Throws: `refused` with the name of the one that does not stop.
    func stop() async throws(ChangeError) {
        for manager in takeOver.managers { try await run(manager.stop, of: manager, to: "stop") }
        try await removeTables()
    }

    /// Enables and starts the managers again, after a failure.
    ///
    /// - Returns: what could not be started, in whole sentences.
    func start() async -> [String] {
        var troubles: [String] = []
        for manager in takeOver.managers {
            do throws(ChangeError) { try await run(manager.start, of: manager, to: "start") } catch {
                troubles.append("\(error)")
            }
        }
        do throws(ChangeError) { try await restoreTables() } catch { troubles.append("\(error)") }
        return troubles
    }

    private func run(
        _ commands: [[String]], of manager: ManagerControl, to verb: String
    ) async throws(ChangeError) {
        for command in commands {
            do throws(HostError) {
                let program = try environment.toolbox.need(command[0])
                _ = try await environment.runner.check(
                    Command(program, Array(command.dropFirst()), timeout: .seconds(Self.patience)))
            } catch {
                throw .refused(reason: "\(manager.name) did not \(verb): \(error)")
            }
        }
    }

    private func removeTables() async throws(ChangeError) {
        let names = try NFTable.names(in: takeOver.tables)
        guard !names.isEmpty else { return }
        // Adding first: a table that is already gone is no mistake.
        let lines = names.map { "add table \($0)\ndelete table \($0)\n" }
        try await load(lines.joined())
    }

    private func restoreTables() async throws(ChangeError) {
        let names = try NFTable.names(in: takeOver.tables)
        guard !names.isEmpty else { return }
        try await load(names.map { "add table \($0)\ndelete table \($0)\n" }.joined() + takeOver.tables)
    }

    private func load(_ text: String) async throws(ChangeError) {
        try await ChangeError.wrap { () async throws(HostError) in
            guard let nft else { throw .toolMissing(name: "nft", lookedIn: []) }
            try await nft.load(text)
        }
    }
}
