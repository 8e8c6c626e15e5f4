/// What holds latchkey's rules in the kernel, and the programs that change them.
package enum Backend: String, Sendable, CaseIterable, Codable {
    /// A table of latchkey's own in nf_tables, changed with nft(8).
    case nftables
    /// iptables on nf_tables, what `iptables` means on present systems.
    case nft
    /// iptables on the older x_tables.
    case legacy

    /// The backends whose rules iptables shows and changes; rules of one are invisible to the other's tools.
    package static let iptables: [Backend] = [.nft, .legacy]

    /// The name for people.
    package var title: String {
        switch self {
        case .nftables: "nftables"
        case .nft, .legacy: "iptables-\(rawValue)"
        }
    }
}
