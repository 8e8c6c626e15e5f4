import Netfilter
import Policy

/// Who may begin what: everyone, and single networks besides.
package struct Access: Equatable, Sendable {
    /// What everyone may.
    package var everyone = Traffic.none
    /// What a network may, besides.
    package var networks: [CIDR: Traffic] = [:]
    /// What everyone may as often as a limit allows, besides.
    package var limited: [RateLimit: Traffic] = [:]

    /// Nobody may anything.
    package init() {}

    /// What grants say together.
    init(_ grants: [FilterWalk.Grant]) {
        for grant in grants where grant.groups == nil {
            if let limit = grant.limit {
                if grant.source?.isEverything ?? true {
                    limited[limit] = (limited[limit] ?? .none).union(grant.traffic)
                }
            } else if let source = grant.source, !source.isEverything {
                networks[source] = (networks[source] ?? .none).union(grant.traffic)
            } else {
                everyone = everyone.union(grant.traffic)
            }
        }
        limited = limited.mapValues { $0.subtracting(everyone) }.filter { !$0.value.isEmpty }
    }

    /// What everyone may at least as often as a limit allows.
    private func traffic(within limit: RateLimit) -> Traffic { everyone.union(limited[limit] ?? .none) }

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
        for limit in Set(limited.keys).union(other.limited.keys) {
            let traffic = traffic(within: limit).intersection(other.traffic(within: limit)).subtracting(both.everyone)
            if !traffic.isEmpty { both.limited[limit] = traffic }
        }
        return both
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
