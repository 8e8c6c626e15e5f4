import Host
import Netfilter

/// One way to the kernel's rules: all that a guard needs of it.
///
/// No journal, no deadline, no socket.
protocol RuleBackend: Sendable {
    /// The rules of the change, of each family that the kernel has.
    var plan: PerFamily<RuleSet> { get }
    /// The rules from before the change, without a trial.
    var previous: PerFamily<RuleSet> { get }
    /// What the gates rest on.
    var gateKind: GateKind { get }
    /// Opens and closes the gates.
    var gates: any GateControl { get }

    /// Refuses what could not be taken back: unreadable tables, rules that cannot be written truthfully.
    ///
    /// - Throws: `unreadable`, `untruthful`; nothing has been changed.
    func requireWayBack() async throws(ChangeError)

    /// Loads the trial, its gates closed, and reads it back.
    ///
    /// - Parameter again: whether a part of it may be there.
    /// - Throws: when it is not wholly there.
    mutating func loadTrial(again: Bool) async throws(ChangeError)

    /// Whether all of the trial is there, unchanged.
    ///
    /// - Throws: `unreadable` where nobody can tell.
    func isTrialWhole() async throws(ChangeError) -> Bool

    /// Makes the rules permanent beneath the trial, and reads them back.
    ///
    /// - Throws: when one family's are not; what was made of the other is taken back with `takeBack`.
    func makePermanent() async throws(ChangeError)

    /// Takes permanent rules back, as far as they were made.
    ///
    /// - Throws: the first trouble, after every family has been tried.
    func takeBack() async throws(ChangeError)

    /// Takes the trial away; done when nothing of it is left.
    ///
    /// - Throws: when something stays. It does nothing: the gates are closed.
    func removeTrial() async throws(ChangeError)

    /// Lets SSH and the admins in ahead of all other rules, and reads that back.
    ///
    /// - Throws: the first trouble, after every family has been tried.
    func open() async throws(ChangeError)
}
