import Netfilter
import Policy

/// What a firewall program does with the packets of one family, from all sides.
struct FamilyAccess {
    var family: Family
    /// What is accepted whichever interface it comes in through.
    var access = Access.open
    /// What is accepted through each interface.
    var byInterface: [String: Access] = [:]
    /// The sources that a rule blocks as answers can.
    var blockable: [FilterWalk.BlockedSource] = []
    /// The sources that a rule blocks in a way that answers cannot say.
    var unblockable: Set<CIDR> = []
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
    ///
    /// - Parameters:
    ///   - source: the rules.
    ///   - viewpoints: the ways in which packets come in from outside.
    ///   - guests: those of the machine's own guests, which say nothing about the others.
    ///   - context: what the walk through the rules has to know besides.
    init?(
        _ source: some FilterSource, _ viewpoints: [Viewpoint], guests: [Viewpoint] = [],
        _ context: FilterWalk.Context
    ) {
        guard let family = viewpoints.first?.family else { return nil }
        self.family = family
        var whole: Access?
        for viewpoint in viewpoints {
            guard let passed = read(source, viewpoint, context) else { return nil }
            whole = whole.map { $0.intersection(passed) } ?? passed
        }
        access = whole ?? .open
        for viewpoint in guests { _ = read(source, viewpoint, context) }
    }

    /// Reads the rules from one interface: what passes all chains that the kernel calls.
    private mutating func read(
        _ source: some FilterSource, _ viewpoint: Viewpoint, _ context: FilterWalk.Context
    ) -> Access? {
        guard let chains = source.chains(from: viewpoint) else { return nil }
        var here: Access?
        for base in chains.bases {
            let walk = FilterWalk(chains, from: base, context)
            let access = Access(walk.grants)
            here = here.map { $0.intersection(access) } ?? access
            grants += walk.grants.map { grant in
                var grant = grant
                grant.interface = viewpoint.interface
                return grant
            }
            doubts += walk.doubts
            kept += walk.kept
            isTooLong = isTooLong || walk.isTooLong
            for blocked in walk.blockable {
                if let index = blockable.firstIndex(where: { $0.source == blocked.source }) {
                    blockable[index].open = blockable[index].open.union(blocked.open)
                } else {
                    blockable.append(blocked)
                }
            }
            unblockable.formUnion(walk.unblockable)
            multicast += walk.grants.filter { $0.source == nil }.flatMap { grant in
                (grant.groups ?? []).map { ($0, grant.traffic) }
            }
        }
        // Without a base chain nothing is filtered.
        let passed = here ?? Access.open
        byInterface[viewpoint.interface] = passed
        return passed
    }
}
