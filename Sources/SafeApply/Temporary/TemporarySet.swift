import Netfilter

/// A set for temporary entries in latchkey's own table: sources of one prefix length.
///
/// A rule looks the masked source up, so that a network and another inside it are two elements with a time each; a set
/// of intervals refuses that.
struct TemporarySet: Hashable, Sendable {
    /// What its sources may do.
    let list: TemporaryElement.List
    /// The family of its sources.
    let family: Family
    /// The prefix length of its sources.
    let prefixLength: Int

    /// The set that an element belongs to.
    init(for element: TemporaryElement) {
        list = element.list
        family = element.source.family
        prefixLength = element.source.prefixLength
    }

    /// The set of that name; nil for another set.
    init?(named name: String) {
        let words = name.dropFirst(TemporaryParts.tableSetPrefix.count).split(separator: "-")
        guard name.hasPrefix(TemporaryParts.tableSetPrefix), words.count == 3,
            let list = TemporaryElement.List(words[0]), let family = Family(rawValue: String(words[1])),
            let length = Int(words[2]), (0...128).contains(length)
        else { return nil }
        self.list = list
        self.family = family
        prefixLength = length
    }

    /// Its name.
    var name: String { "\(TemporaryParts.tableSetPrefix)\(list.word)-\(family.rawValue)-\(prefixLength)" }

    /// The command for nft(8) that makes it.
    var creation: String {
        let address = family == .ipv4 ? "ipv4_addr" : "ipv6_addr"
        return "add set \(NFTable.Name.latchkey) \(name) { type \(address); flags timeout; }\n"
    }

    /// The rule that looks a packet up.
    var rule: String {
        let all = [UInt8](repeating: 0xff, count: family == .ipv4 ? 4 : 16)
        let mask = IPAddress(bytes: all).flatMap { CIDR(of: $0, prefixLength: prefixLength) }
        let isHost = prefixLength == all.count * 8
        let source = "\(family == .ipv4 ? "ip" : "ip6") saddr" + (isHost ? "" : mask.map { " & \($0.address)" } ?? "")
        var ports = ""
        if case .ports(let spec) = list { ports = "\(spec.transport.rawValue) dport \(spec.range) " }
        return "\(ports)\(source) @\(name) counter \(list == .block ? "drop" : "accept")"
    }
}
