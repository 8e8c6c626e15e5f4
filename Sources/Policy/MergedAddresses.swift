import Netfilter

extension AddressList {
    /// How many of its addresses and networks need no rule, because another one contains them; 0 for a list without
    /// files.
    package var mergedCount: Int { files.isEmpty ? 0 : count - CIDR.merged(all).count }

    /// How many addresses and networks were written in the answers and in the files.
    package var count: Int { files.reduce(networks.count) { $0 + $1.count } }
}

extension Answers {
    /// A sentence for each list from files in which networks overlap.
    package var mergedAddressNotes: [String] {
        var lists = [("admins", admins), ("block", block)]
        if case .networks(let list) = ssh?.from { lists.append(("ssh", list)) }
        for service in services {
            if case .networks(let list) = service.from { lists.append((service.name, list)) }
        }
        for port in ports {
            if case .networks(let list) = port.from { lists.append(("\(port.ports)", list)) }
        }
        return lists.compactMap { name, list in
            let merged = list.mergedCount
            guard merged > 0 else { return nil }
            let rest =
                merged == 1
                ? "is inside another one of the list and was merged with it."
                : "are inside others of the list and were merged with them."
            return "\(name): \(merged) of \(list.count) addresses and networks \(rest)"
        }
    }
}
