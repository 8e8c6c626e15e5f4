import Netfilter
import Policy

/// Finds what chains accept: each rule in its order, less what an earlier rule blocks.
struct FilterWalk {
    /// Packets that a rule accepts.
    struct Grant: Hashable {
        /// Where they come from; nil for anywhere.
        var source: CIDR?
        var traffic: Traffic
        /// The multicast groups that they are sent to; nil for an address of the server's own.
        var groups: [IPAddress]?
        /// The rule, or the policy.
        var rule: String
        /// Whether the rule is the policy, or one that accepts everything else.
        var isDefault: Bool
        /// How many new connections one address may make; nil for any number.
        var limit: RateLimit?
        /// The rule that limits it.
        var limitRule: String?
        /// The interface that they come in through.
        var interface = ""
    }

    /// Packets of which answers cannot say whether they are accepted.
    struct Doubt: Hashable {
        var source: CIDR?
        var traffic: Traffic
        var rule: String
        /// Why, as a clause.
        var reason: String
        /// Whether most of them are accepted: all but those that an earlier rule blocks.
        var isBroad = false
        /// The limit on each address that comes nearest to what limits them otherwise.
        var nearLimit: RateLimit?
    }

    /// A source that answers can block, and the rule that does.
    struct BlockedSource: Hashable {
        var source: CIDR
        var rule: String
        /// What the rule leaves open to it, or an earlier one opens.
        var open: Traffic
    }

    /// Packets that a rule blocks.
    private struct Block {
        var conditions: FilterConditions
        var rule: String
        var isPartial: Bool { !conditions.unknown.isEmpty }
    }

    private(set) var grants: [Grant] = []
    private(set) var doubts: [Doubt] = []
    /// Rules that accept only packets that do not begin anything here, or not from here.
    private(set) var kept: [String] = []
    /// Whether there were more rules than can be followed.
    private(set) var isTooLong = false

    /// The sources that answers can block: what rules block of theirs comprises SSH, and no earlier rule is for them.
    private(set) var blockable: [BlockedSource] = []
    /// Other sources that a rule blocks.
    private(set) var unblockable: Set<CIDR> = []

    private var blocks: [Block] = []
    private let chains: FilterChains
    private let context: Context

    /// What the walk has to know besides the rules.
    struct Context {
        /// The ports of SSH.
        var ssh: Traffic
        /// The address of the present SSH connection, which stays open.
        var caller: IPAddress?
        /// The sources that the answers block, ahead of all that they allow.
        var blocked: Set<CIDR> = []
    }
    private var steps = 0

    /// The longest nesting of chains that is followed; the kernel allows 16.
    private static let depth = 32
    /// How many rules are followed; a chain counts each time that something jumps to it.
    private static let mostSteps = 400_000

    /// Follows a base chain to its policy.
    init(_ chains: FilterChains, from base: FilterChains.Base, _ context: Context) {
        self.chains = chains
        self.context = context
        visit(base.chain, FilterConditions(), base: base, depth: 0)
        apply(base, FilterConditions())
        dropOpenedSources()
    }

    private mutating func apply(_ base: FilterChains.Base, _ conditions: FilterConditions) {
        if base.accepts { grant(conditions, rule: base.policy) } else { block(conditions, rule: base.policy) }
    }

    private mutating func visit(
        _ name: String, _ inherited: FilterConditions, base: FilterChains.Base?, depth: Int, title: String? = nil
    ) {
        var inherited = inherited
        for rule in chains.rules[name] ?? [] {
            steps += 1
            guard steps <= Self.mostSteps, depth <= Self.depth else {
                isTooLong = true
                return
            }
            guard let conditions = inherited.and(rule.conditions) else { continue }
            let text = title ?? rule.text
            switch rule.verdict {
            case .none: continue
            case .accept: grant(conditions, rule: text)
            case .block: block(conditions, rule: text)
            case .unknown(let what):
                var conditions = conditions
                conditions.unknown.append(what)
                conditions.isOnlyLimited = false
                block(conditions, rule: text)
                doubts += Self.sources(conditions).map {
                    Doubt(
                        source: $0, traffic: conditions.traffic, rule: text, reason: "answers cannot say \(what)")
                }
            case .return:
                guard let rest = Self.leaving(inherited, conditions, rule) else { return }
                inherited = rest
            case .jump(let target), .goto(let target):
                if chains.kept.contains(target) {
                    if !kept.contains(target) { kept.append(target) }
                    continue
                }
                visit(
                    target, conditions, base: nil, depth: depth + 1, title: title ?? (rule.namesChain ? rule.text : nil)
                )
                guard case .goto = rule.verdict else { continue }
                if let base { apply(base, conditions) }
                guard let rest = Self.leaving(inherited, conditions, rule) else { return }
                inherited = rest
            }
        }
    }

    /// The packets that still pass a chain once some have left it; nil if none do.
    private static func leaving(
        _ all: FilterConditions, _ gone: FilterConditions, _ rule: FilterRule
    ) -> FilterConditions? {
        var rest = all
        let isPartial = !rule.conditions.unknown.isEmpty || !gone.except.isEmpty && gone.except != all.except
        if !isPartial, gone.groups == all.groups {
            if gone.sources == all.sources {
                rest.traffic = all.traffic.subtracting(gone.traffic)
                return rest.traffic.isEmpty ? nil : rest
            }
            if gone.traffic == all.traffic, let sources = gone.sources {
                rest.except += sources
                return rest
            }
        }
        // Multicast packets that leave do not change what happens to others.
        if all.groups == nil, gone.groups != nil { return rest }
        rest.unknown.append("not: \(rule.text)")
        rest.isOnlyLimited = false
        return rest
    }

    private static func sources(_ conditions: FilterConditions) -> [CIDR?] {
        conditions.sources.map { $0.filter { !$0.isNeverOutside }.map(Optional.some) } ?? [nil]
    }

    /// What an earlier rule accepts from all of a network; nil stands for everyone.
    private func granted(to source: CIDR?) -> Traffic {
        grants.reduce(.none) { traffic, grant in
            guard grant.groups == nil, grant.limit == nil else { return traffic }
            let isFor = grant.source.map { granted in source.map { granted.contains($0) } ?? false } ?? true
            return isFor ? traffic.union(grant.traffic) : traffic
        }
    }

    private mutating func block(_ conditions: FilterConditions, rule: String) {
        var sources = Self.sources(conditions)
        noteSources(of: conditions, rule)
        // Packets that an earlier rule accepted do not reach this rule.
        if conditions.groups == nil, !grants.isEmpty {
            sources = sources.filter { !conditions.traffic.subtracting(granted(to: $0)).isEmpty }
        }
        guard !sources.isEmpty else { return }
        var conditions = conditions
        if conditions.sources != nil { conditions.sources = sources.compactMap(\.self) }
        if let source = sources.first, sources.count == 1, conditions.groups == nil {
            conditions.traffic = conditions.traffic.subtracting(granted(to: source))
        }
        blocks.append(Block(conditions: conditions, rule: rule))
    }

    /// Notes which sources answers can block, because of a rule.
    private mutating func noteSources(of conditions: FilterConditions, _ rule: String) {
        guard let sources = conditions.sources, conditions.groups == nil else { return }
        for source in sources {
            let before = grants.filter { $0.groups == nil }
            let isOwn = before.contains { $0.source?.overlaps(source) ?? false }
            let open = before.filter { $0.source == nil }.reduce(Traffic.none) { $0.union($1.traffic) }
            let blocked = conditions.traffic.subtracting(open)
            if !blocked.concernsAnswers { continue }
            // What an earlier rule may allow counts as allowed.
            let mayLogIn =
                !context.ssh.subtracting(blocked).isEmpty
                || doubts.contains {
                    ($0.source?.overlaps(source) ?? true) && !$0.traffic.intersection(context.ssh).isEmpty
                }
            if let index = blockable.firstIndex(where: { $0.source == source }) {
                blockable[index].open = blockable[index].open.subtracting(blocked)
                continue
            }
            // A rule that blocks a private network behind one that lets it log in is not taken at its word.
            let isMeant = context.ssh.subtracting(conditions.traffic).isEmpty && !(mayLogIn && source.isPrivate)
            let isSayable =
                conditions.unknown.isEmpty && conditions.except.isEmpty && !isOwn && isMeant && !source.isEverything
                && (try? CIDR(source: "\(source)")) != nil && !(context.caller.map(source.contains) ?? false)
            if isSayable {
                blockable.append(
                    BlockedSource(source: source, rule: rule, open: Traffic.all.subtracting(blocked)))
            } else {
                unblockable.insert(source)
            }
        }
    }

    /// Sources with rules of their own that allow something cannot be blocked altogether.
    private mutating func dropOpenedSources() {
        let opened = blockable.filter { blocked in
            grants.contains { grant in
                (grant.source?.overlaps(blocked.source) ?? false) && !grant.traffic.intersection(blocked.open).isEmpty
            }
        }
        unblockable.formUnion(opened.map(\.source))
    }

    private mutating func grant(_ conditions: FilterConditions, rule: String) {
        var conditions = conditions
        // The answers block those themselves.
        conditions.except.removeAll { hole in context.blocked.contains { $0.contains(hole) } }
        var traffic = conditions.traffic
        let isDefault = traffic == .all && conditions.sources == nil
        var reason: String?
        let isBroad = conditions.unknown.allSatisfy { $0.hasPrefix("not: ") }
        if conditions.isOnlyLimited, traffic.limitedPing, !traffic.others, traffic.specs.isEmpty,
            traffic.protocols.isEmpty
        {
            traffic = Traffic(limitedPing: true)
        } else if conditions.unknown.count == 1, let limit = conditions.addressLimit, !limit.isOver,
            conditions.groups == nil, conditions.except.isEmpty
        {
            for source in Self.sources(conditions) {
                grant(source, traffic, rule, isDefault: false, limit: limit.rate)
            }
            return
        } else if let unknown = conditions.unknown.first {
            reason = "answers cannot say \(unknown)"
        } else if conditions.groups == nil,
            let hole = conditions.except.first(where: { !traffic.subtracting(granted(to: $0)).isEmpty })
        {
            reason = "answers cannot say \"all but \(hole)\""
        }
        for source in Self.sources(conditions) {
            if let reason {
                doubts.append(
                    Doubt(
                        source: source, traffic: traffic, rule: rule, reason: reason, isBroad: isBroad,
                        nearLimit: conditions.nearLimit))
            } else if conditions.groups != nil {
                let isBlocked = blocks.contains {
                    !$0.conditions.traffic.intersection(traffic).isEmpty
                        && ($0.conditions.groups.map { !Set($0).isDisjoint(with: conditions.groups ?? []) } ?? true)
                }
                if isBlocked { continue }
                grants.append(
                    Grant(source: source, traffic: traffic, groups: conditions.groups, rule: rule, isDefault: false))
            } else {
                grant(source, traffic, rule, isDefault: isDefault)
            }
        }
    }

    /// Grants what no earlier rule blocks.
    private mutating func grant(
        _ source: CIDR?, _ traffic: Traffic, _ rule: String, isDefault: Bool, limit: RateLimit? = nil
    ) {
        var rest = traffic
        var limited: [(rate: RateLimit, traffic: Traffic, rule: String)] = []
        var narrowed: [(CIDR, Traffic)] = []
        for block in blocks where block.conditions.groups == nil {
            if isSaid(block, beside: source) { continue }
            let blocked = rest.intersection(block.conditions.traffic)
            if blocked.isEmpty { continue }
            if limit == nil, block.conditions.unknown.count == 1, let over = block.conditions.addressLimit, over.isOver,
                case .whole = Self.effect(of: block.conditions, on: source),
                !limited.contains(where: { !$0.traffic.intersection(blocked).isEmpty })
            {
                limited.append((over.rate, blocked, block.rule))
                continue
            }
            switch Self.effect(of: block.conditions, on: source) {
            case .none: continue
            case .whole where !block.isPartial:
                rest = rest.subtracting(blocked)
            case .allBut(let networks) where !block.isPartial:
                rest = rest.subtracting(blocked)
                narrowed += networks.filter { network in !context.blocked.contains { $0.contains(network) } }
                    .map { ($0, blocked) }
            default:
                rest = rest.subtracting(blocked)
                let reason =
                    block.rule == rule
                    ? "answers cannot say \(block.conditions.unknown.first ?? "its limit")"
                    : "an earlier rule blocks some of it (\(block.rule))"
                doubts.append(Doubt(source: source, traffic: blocked, rule: rule, reason: reason, isBroad: true))
            }
        }
        for (network, traffic) in narrowed {
            grant(network, traffic, rule, isDefault: false)
        }
        for (rate, counted, limitRule) in limited {
            let here = rest.intersection(counted)
            rest = rest.subtracting(here)
            guard !here.isEmpty else { continue }
            grants.append(
                Grant(
                    source: source, traffic: here, rule: rule, isDefault: isDefault, limit: rate, limitRule: limitRule))
        }
        guard !rest.isEmpty else { return }
        grants.append(
            Grant(
                source: source, traffic: rest, rule: rule, isDefault: isDefault, limit: limit,
                limitRule: limit.map { _ in rule }))
    }

    /// Whether the answers say a block: all its sources are blocked ahead of everything, so that it narrows no grant.
    ///
    /// An admin is never blocked, and a network that contains a blocked one may become an admin.
    private func isSaid(_ block: Block, beside source: CIDR?) -> Bool {
        guard let sources = block.conditions.sources, !block.isPartial else { return false }
        return sources.allSatisfy(context.blocked.contains)
    }

    private enum Effect {
        case none, whole, part
        /// Only these networks are still accepted.
        case allBut([CIDR])
    }

    private static func effect(of block: FilterConditions, on source: CIDR?) -> Effect {
        if let sources = block.sources {
            guard let source else { return .part }
            let isWhole = sources.contains { $0.contains(source) }
            let isTouched = isWhole || sources.contains { source.contains($0) }
            guard isTouched else { return .none }
            return isWhole && block.except.isEmpty ? .whole : .part
        }
        if block.except.isEmpty { return .whole }
        guard let source else { return .allBut(block.except) }
        if block.except.contains(where: { $0.contains(source) }) { return .none }
        let inside = block.except.filter { source.contains($0) }
        return inside.isEmpty ? .whole : .allBut(inside)
    }
}
