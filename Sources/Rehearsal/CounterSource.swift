import Netfilter

/// Reads the counters of the rules that a rehearsal tests.
package protocol CounterSource: Sendable {
    /// The families whose rules can be read.
    var families: [Family] { get }
    /// Whether the families share counters, so that they have to be tested one after the other.
    var isShared: Bool { get }
    /// Whether it also reads the tables that iptables-nft keeps in nf_tables.
    var readsIPTablesNFT: Bool { get }

    /// The rules that a packet of a family may meet, with their counters.
    ///
    /// - Parameter family: the family.
    /// - Returns: the rules.
    /// - Throws: what the backend's tools throw.
    func read(_ family: Family) async throws -> CountedRules
}
