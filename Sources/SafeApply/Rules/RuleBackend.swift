import Host
import Netfilter

/// The kernel's rules, as a guard uses them; without journal, deadline or socket.
protocol RuleBackend: Sendable {
    /// The kind of the gates.
    var gateKind: GateKind { get }
    /// Opens and closes the gates.
    var gates: any GateControl { get }

    /// Refuses a change that could not be rolled back: unreadable tables, rules that cannot be written correctly.
    ///
    /// - Throws: `unreadable`, `untruthful`; nothing has been changed.
    func requireWayBack() async throws(ChangeError)

    /// The snapshot of the previous rules.
    ///
    /// - Throws: `host`.
    func snapshot() throws(ChangeError) -> Snapshot

    /// Loads the trial, its gates closed, and reads it back.
    ///
    /// - Parameter again: whether a part of it may already be loaded.
    /// - Throws: if it is not complete.
    mutating func loadTrial(again: Bool) async throws(ChangeError)

    /// Whether the whole trial is loaded and unchanged.
    ///
    /// - Throws: `unreadable` if the rules cannot be read.
    func isTrialWhole() async throws(ChangeError) -> Bool

    /// Makes the rules permanent beneath the trial, and reads them back.
    ///
    /// - Throws: if one family fails; `takeBack` then rolls back the other one.
    func makePermanent() async throws(ChangeError)

    /// Rolls back permanent rules, as far as they were made.
    ///
    /// - Throws: the first error, after every family has been tried.
    func takeBack() async throws(ChangeError)

    /// Removes the trial.
    ///
    /// - Throws: if a part of it stays, which has no effect, because the gates are closed.
    func removeTrial() async throws(ChangeError)

    /// Allows SSH and the admins ahead of all other rules, and reads the result back.
    ///
    /// - Throws: the first error, after every family has been tried.
    func open() async throws(ChangeError)

    /// Removes what a kept change no longer needs: tables that it emptied, sets of earlier rules.
    func removeLeftovers() async

    /// Notes for a person about rules that are active besides those of a kept change.
    func otherRulesNotes() async -> [String]

    /// The rules of the change, as they are saved for boot once it is kept.
    func rulesToSave() async -> PlannedRules
}

/// The rules of a change: for iptables or for nftables.
struct PlannedRules: Sendable {
    /// The rules of each family, for iptables.
    var rules = PerFamily<RuleSet>()
    /// The tables of nftables.
    var tables: [NFTable] = []
}

/// Makes the backend of a change.
enum RuleBackends {
    /// The backend of a change that begins.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - environment: the machine.
    ///   - isElsewhere: whether its runner works in another network namespace than this process.
    ///   - loaded: the iptables rules of the families whose active rules are known; the others are read.
    /// - Returns: the backend.
    /// - Throws: `badRules`, `host`, `unreadable`.
    static func new(
        _ request: ChangeRequest, in environment: ChangeEnvironment, isElsewhere: Bool = false,
        loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) -> any RuleBackend {
        if let retirement = request.retirementRequest {
            var alone = request
            alone.retirement = nil
            return SwitchingBackend(
                to: try await new(alone, in: environment, isElsewhere: isElsewhere, loaded: loaded),
                from: try await new(retirement, in: environment, isElsewhere: isElsewhere))
        }
        return switch request.backend {
        case .nftables: try await NFTablesBackend(new: request, in: environment, isElsewhere: isElsewhere)
        case .nft, .legacy:
            try await IPTablesBackend(new: request, in: environment, isElsewhere: isElsewhere, loaded: loaded)
        }
    }

    /// The backend of a change that another guard began.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - snapshot: the previous rules; nil if they are lost.
    ///   - gateKind: the kind of its gates.
    ///   - environment: the machine.
    /// - Returns: the backend.
    /// - Throws: `badRules`, `host`, `damaged`.
    static func carryingOn(
        _ request: ChangeRequest, snapshot: Snapshot?, gateKind: GateKind, in environment: ChangeEnvironment
    ) async throws(ChangeError) -> any RuleBackend {
        if let retirement = request.retirementRequest {
            var alone = request
            alone.retirement = nil
            return SwitchingBackend(
                to: try await carryingOn(
                    alone, snapshot: snapshot.map(SwitchingBackend.newPart), gateKind: gateKind, in: environment),
                from: try await carryingOn(retirement, snapshot: snapshot, gateKind: gateKind, in: environment))
        }
        return switch request.backend {
        case .nftables: try await NFTablesBackend(carryingOn: request, snapshot: snapshot, in: environment)
        case .nft, .legacy:
            try await IPTablesBackend(
                carryingOn: request, snapshot: snapshot,
                // The journal of a change of backends names the kind of nftables' gates.
                gateKind: gateKind == .timeout ? .recent : gateKind, in: environment)
        }
    }
}
