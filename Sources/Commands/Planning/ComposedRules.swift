import Netfilter
import SafeApply

/// The rules of a plan, and the sets of addresses that they look into.
struct ComposedRules: Sendable {
    /// The rules of each family for iptables; none for the backend nftables.
    var rules: PerFamily<RuleSet>
    /// The table of the backend nftables, for both families, as nft(8) reads it; nil for iptables.
    var table: String?
    /// Commands for `ipset restore` that make the sets; "" where there are none.
    var sets: String
}
