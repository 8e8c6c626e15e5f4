import Host
import Netfilter

/// A change on the rules of another network, made by the very code that makes it on the machine.
///
/// There is no guard, no deadline and no snapshot: the network is thrown away afterwards.
package struct RehearsedChange: Sendable {
    private var backend: IPTablesBackend

    /// Reads the rules there, but for those of the families in which it is known what was loaded.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - environment: the machine; its runner works in that network.
    ///   - loaded: all rules that are active there, as they were loaded.
    /// - Throws: `badRules`, `host`, `unreadable`.
    package init(
        _ request: ChangeRequest, in environment: ChangeEnvironment, loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) {
        backend = try await IPTablesBackend(new: request, in: environment, isElsewhere: true, loaded: loaded)
    }

    /// Activates the rules in the form in which they wait to be confirmed.
    ///
    /// - Throws: when the tools do not take them.
    package mutating func activateTrial() async throws(ChangeError) { try await backend.loadTrial(again: false) }

    /// Makes the rules permanent and takes the trial away, as `confirm` does.
    ///
    /// - Throws: when the tools do not take them.
    package func makePermanent() async throws(ChangeError) {
        try await backend.makePermanent()
        try await backend.removeTrial()
    }
}
