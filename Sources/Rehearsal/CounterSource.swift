import Host
import Netfilter

/// Reads the counters of the rules that a rehearsal tests.
package protocol CounterSource: Sendable {
    /// The families whose rules can be read.
    var families: [Family] { get }
    /// Whether the families share counters, so that they have to be tested one after the other.
    var isShared: Bool { get }

    /// Whether it shows the rules of a chain of nf_tables, as iptables does for those of iptables-nft that it can print.
    ///
    /// - Parameter chain: the chain.
    /// - Returns: whether their counters are among those it reads.
    func shows(_ chain: InputHookChain) async -> Bool

    /// The rules that a packet of a family may meet, with their counters.
    ///
    /// - Parameter family: the family.
    /// - Returns: the rules.
    /// - Throws: what the backend's tools throw.
    func read(_ family: Family) async throws -> CountedRules
}
