import Host
import Netfilter

/// A change in another network namespace, made by the same code as on the machine.
///
/// It has no guard, deadline or snapshot, because the namespace is discarded afterwards.
package struct RehearsedChange: Sendable {
    private var backend: any RuleBackend

    /// Reads the rules there, but for those of the families in which it is known what was loaded.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - environment: the machine; its runner works in that namespace.
    ///   - loaded: the active rules there, if they are known.
    /// - Throws: `badRules`, `host`, `unreadable`.
    package init(
        _ request: ChangeRequest, in environment: ChangeEnvironment, loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) {
        backend = try await RuleBackends.new(request, in: environment, isElsewhere: true, loaded: loaded)
    }

    /// Activates the rules in their pending form.
    ///
    /// - Throws: if the tools do not accept them.
    package mutating func activateTrial() async throws(ChangeError) { try await backend.loadTrial(again: false) }

    /// Makes the rules permanent and removes the trial, as `confirm` does.
    ///
    /// - Throws: if the tools do not accept them.
    package func makePermanent() async throws(ChangeError) {
        try await backend.makePermanent()
        try await backend.removeTrial()
    }
}
