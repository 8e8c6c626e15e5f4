import Netfilter
import Policy

/// The text of a rule's comment: the answers that the rule comes from.
enum RuleComment {
    /// The maximum length of a comment, in bytes without the final zero (iptables-extensions(8), comment).
    static let limit = 255
    /// The same for nft(8).
    static let nftablesLimit = 128

    /// `services web, mail; ports 8080/tcp`, shortened at the end if it would be too long.
    ///
    /// - Parameters:
    ///   - services: names of services.
    ///   - ports: further ports, as written in the answers.
    ///   - limit: the maximum length with latchkey's prefix, in bytes.
    /// - Returns: the comment without latchkey's prefix.
    static func text(services: [String], ports: [String], limit: Int = limit) -> String {
        let room = limit - Rule.ownershipPrefix.utf8.count
        let total = services.count + ports.count
        for kept in stride(from: total, through: 0, by: -1) {
            let keptServices = Array(services.prefix(kept))
            let keptPorts = Array(ports.prefix(kept - keptServices.count))
            var parts: [String] = []
            if !keptServices.isEmpty {
                parts.append((services.count == 1 ? "service " : "services ") + keptServices.joined(separator: ", "))
            }
            if !keptPorts.isEmpty {
                parts.append((ports.count == 1 ? "port " : "ports ") + keptPorts.joined(separator: ", "))
            }
            var text = parts.joined(separator: "; ")
            if kept < total { text += (text.isEmpty ? "" : " and ") + "\(total - kept) more" }
            if text.utf8.count <= room { return text }
        }
        return "services and ports"
    }
}
