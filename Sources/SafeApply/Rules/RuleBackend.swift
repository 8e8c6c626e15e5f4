import Host
import Netfilter

/// The kernel's rules, as a guard uses them; without journal, deadline or socket.
protocol RuleBackend: Sendable {
    /// The rules of the change, of each family that the kernel has.
    var plan: PerFamily<RuleSet> { get }
    /// The previous rules, without a trial.
    var previous: PerFamily<RuleSet> { get }
    /// The kind of the gates.
    var gateKind: GateKind { get }
    /// Opens and closes the gates.
    var gates: any GateControl { get }

    /// Refuses a change that could not be rolled back: unreadable tables, rules that cannot be written correctly.
    ///
    /// - Throws: `unreadable`, `untruthful`; nothing has been changed.
    func requireWayBack() async throws(ChangeError)

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
}
