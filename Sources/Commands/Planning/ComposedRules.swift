import Netfilter
import SafeApply

/// The rules of a plan for one backend.
struct ComposedRules: Sendable {
    /// The rules of each family for iptables; none for the backend nftables.
    var rules = PerFamily<RuleSet>()
    /// Commands for `ipset restore` that make the sets of the iptables rules; "" where there are none.
    var sets = ""
    /// The table of the backend nftables, for both families; nil for iptables.
    var table: NFTable?

    /// The texts that are shown to a person: each with its heading.
    var texts: [(heading: String, text: String)] {
        if let table { return [("IPv4 and IPv6", table.text)] }
        return rules.present.map { ($0.family.title, $0.value.text) }
    }
}
