import Netfilter
import Policy

/// The conditions of a rule of any firewall program, as far as answers can say the same.
package struct FilterConditions: Hashable, Sendable {
    /// The networks that the packet comes from; nil for any.
    package var sources: [CIDR]?
    /// Networks that it does not come from.
    package var except: [CIDR] = []
    /// What it is.
    package var traffic = Traffic.all
    /// The multicast groups that it is sent to; nil for an address of the server's own.
    package var groups: [IPAddress]?
    /// Conditions that answers cannot say, as the program writes them.
    package var unknown: [String] = []
    /// Whether one of the unknown conditions is a limit on the number of packets, and there is no other.
    package var isOnlyLimited = false
    /// The limit that answers can say, which is one of the unknown conditions.
    package var addressLimit: AddressLimit?
    /// The limit on each address that comes nearest to one of the unknown conditions, which counts otherwise.
    package var nearLimit: RateLimit?

    /// No condition.
    package init() {}

    /// Conditions on the source and on what it is.
    package init(sources: [CIDR]? = nil, traffic: Traffic, groups: [IPAddress]? = nil, unknown: [String] = []) {
        self.sources = sources
        self.traffic = traffic
        self.groups = groups
        self.unknown = unknown
    }

    /// Both conditions at once; nil if no packet meets them.
    func and(_ other: FilterConditions) -> FilterConditions? {
        var both = self
        both.traffic = traffic.intersection(other.traffic)
        if both.traffic.isEmpty { return nil }
        switch (sources, other.sources) {
        case (nil, let some), (let some, nil): both.sources = some
        case (let some?, let others?): both.sources = Self.intersection(some, others)
        }
        both.except += other.except
        if let some = both.sources {
            both.sources = some.filter { network in !both.except.contains { $0.contains(network) } }
            if both.sources?.isEmpty == true { return nil }
            both.except = both.except.filter { hole in both.sources?.contains { $0.contains(hole) } ?? true }
        }
        switch (groups, other.groups) {
        case (nil, let some), (let some, nil): both.groups = some
        case (let some?, let others?): both.groups = some.filter(others.contains)
        }
        if both.groups?.isEmpty == true { return nil }
        both.isOnlyLimited =
            unknown.isEmpty ? other.isOnlyLimited : isOnlyLimited && (other.unknown.isEmpty || other.isOnlyLimited)
        both.unknown += other.unknown
        both.addressLimit = addressLimit ?? other.addressLimit
        both.nearLimit = nearLimit ?? other.nearLimit
        return both
    }

    private static func intersection(_ some: [CIDR], _ others: [CIDR]) -> [CIDR] {
        var both: [CIDR] = []
        for one in some {
            for other in others {
                if other.contains(one) { both.append(one) } else if one.contains(other) { both.append(other) }
            }
        }
        return both
    }
}

/// What a rule does with a packet that meets its conditions.
package enum FilterVerdict: Hashable, Sendable {
    case accept
    case block
    /// Sends it to another chain, and goes on behind the rule if that decides nothing.
    case jump(String)
    /// Sends it to another chain for good.
    case goto(String)
    /// Leaves the chain.
    case `return`
    /// Something that does not decide: it counts, logs, marks.
    case none
    /// Something that may decide, in a way that answers cannot say.
    case unknown(String)
}

/// A rule of any firewall program, seen from one viewpoint.
package struct FilterRule: Hashable, Sendable {
    /// The rule as the program writes it.
    package var text: String
    /// Its conditions.
    package var conditions: FilterConditions
    /// What it does.
    package var verdict: FilterVerdict
    /// Whether the rules of a chain that it jumps to are part of it for a person: they have its text.
    package var namesChain: Bool

    /// A rule.
    package init(
        _ text: String, _ conditions: FilterConditions = FilterConditions(), _ verdict: FilterVerdict,
        namesChain: Bool = false
    ) {
        self.text = text
        self.conditions = conditions
        self.verdict = verdict
        self.namesChain = namesChain
    }
}

/// The chains that decide about incoming packets, seen from one viewpoint.
package struct FilterChains: Sendable {
    /// A chain that the kernel itself calls.
    package struct Base: Sendable {
        /// Its name.
        package var chain: String
        /// Whether packets are accepted about which no rule decides.
        package var accepts: Bool
        /// The policy as the program writes it.
        package var policy: String

        /// A base chain.
        package init(_ chain: String, accepts: Bool, policy: String) {
            self.chain = chain
            self.accepts = accepts
            self.policy = policy
        }
    }

    /// The chains that the kernel calls; a packet has to pass all of them.
    package var bases: [Base]
    /// The rules of all chains.
    package var rules: [String: [FilterRule]]
    /// Chains of programs that manage their rules by themselves; they stay as they are, and are not followed.
    package var kept: Set<String>

    /// Chains.
    package init(bases: [Base], rules: [String: [FilterRule]], kept: Set<String> = []) {
        self.bases = bases
        self.rules = rules
        self.kept = kept
    }
}

/// The rules of a firewall program, from any viewpoint.
package protocol FilterSource: Sendable {
    /// The chains that decide about packets seen from a viewpoint; nil if the program does not filter that family.
    func chains(from viewpoint: Viewpoint) -> FilterChains?
    /// The interfaces that rules name, without those with a wildcard.
    var interfaces: [String] { get }
}
