import Netfilter

/// Who may begin what: everyone, and single networks besides.
package struct Access: Equatable, Sendable {
    /// What everyone may.
    package var everyone = Traffic.none
    /// What a network may, besides.
    package var networks: [CIDR: Traffic] = [:]

    /// Nobody may anything.
    package init() {}

    /// What grants say together.
    init(_ grants: [FilterWalk.Grant]) {
        for grant in grants where grant.groups == nil {
            if let source = grant.source, !source.isEverything {
                networks[source] = (networks[source] ?? .none).union(grant.traffic)
            } else {
                everyone = everyone.union(grant.traffic)
            }
        }
    }

    /// All that a network may: by itself, as a part of others, and as everyone.
    package func traffic(of network: CIDR) -> Traffic {
        networks.reduce(everyone) { $1.key.contains(network) ? $0.union($1.value) : $0 }
    }

    /// What both allow: for packets that have to pass two sets of rules, or may come in two ways.
    package func intersection(_ other: Access) -> Access {
        var both = Access()
        both.everyone = everyone.intersection(other.everyone)
        for network in Set(networks.keys).union(other.networks.keys) {
            let traffic = traffic(of: network).intersection(other.traffic(of: network))
            if !traffic.isEmpty { both.networks[network] = traffic }
        }
        return both
    }
}

/// What a firewall program does with the packets of one family, from all sides.
struct FamilyAccess {
    var family: Family
    /// What is accepted whichever interface it comes in through.
    var access = Access.open
    /// The multicast groups and ports that are open to everyone.
    var multicast: [(group: IPAddress, traffic: Traffic)] = []
    /// What rules accept, each seen from one interface.
    var grants: [FilterWalk.Grant] = []
    /// What answers cannot say.
    var doubts: [FilterWalk.Doubt] = []
    /// Chains that stay as they are.
    var kept: [String] = []
    var isTooLong = false

    /// Reads a program's rules for a family from all interfaces; nil if the program does not filter the family.
    init?(_ source: some FilterSource, _ viewpoints: [Viewpoint]) {
        guard let family = viewpoints.first?.family else { return nil }
        self.family = family
        var whole: Access?
        for viewpoint in viewpoints {
            guard let chains = source.chains(from: viewpoint) else { return nil }
            var here: Access?
            for base in chains.bases {
                let walk = FilterWalk(chains, from: base)
                let access = Access(walk.grants)
                here = here.map { $0.intersection(access) } ?? access
                grants += walk.grants
                doubts += walk.doubts
                kept += walk.kept
                isTooLong = isTooLong || walk.isTooLong
                multicast += walk.grants.filter { $0.source == nil }.flatMap { grant in
                    (grant.groups ?? []).map { ($0, grant.traffic) }
                }
            }
            // Without a base chain nothing is filtered.
            let passed = here ?? Access.open
            whole = whole.map { $0.intersection(passed) } ?? passed
        }
        access = whole ?? .open
    }
}

extension Access {
    /// Everyone may everything.
    static var open: Access {
        var access = Access()
        access.everyone = .all
        return access
    }
}
