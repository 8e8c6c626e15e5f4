import Netfilter
import SafeApply

/// The rules of a plan, and the sets of addresses that they look into.
struct ComposedRules: Sendable {
    /// The rules of each family.
    var rules: PerFamily<RuleSet>
    /// Commands for `ipset restore` that make the sets; "" where there are none.
    var sets: String
}
