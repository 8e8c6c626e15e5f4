import Netfilter
import SafeApply

/// The rules of a plan, and the address sets that they use.
struct ComposedRules: Sendable {
    /// The rules of each family for iptables; none for the backend nftables.
    var rules: PerFamily<RuleSet>
    /// The table of the backend nftables, for both families, as nft(8) reads it; nil for iptables.
    var table: String?
    /// Commands for `ipset restore` that create the sets; "" if there are none.
    var sets: String
}
