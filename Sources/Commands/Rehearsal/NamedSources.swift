import Netfilter

// The sources that other programs' rules name. Those that ban addresses for a while put them into chains or tables of
// their own.

extension RuleSet {
    /// The sources that other programs' rules name.
    var sourcesInOtherRules: [CIDR] { Self.sources(tables.flatMap(\.rules)) }

    /// Those that the kernel's own chains for incoming packets name.
    var sourcesForGood: [CIDR] {
        Self.sources(tables.flatMap(\.rules).filter { ["INPUT", "PREROUTING"].contains($0.chain) })
    }

    private static func sources(_ rules: [Rule]) -> [CIDR] {
        rules.filter { !$0.isOwned }.flatMap(\.matches).compactMap { match in
            if case .source(let network, false) = match, network.prefixLength > 0 { network } else { nil }
        }
    }
}

extension NFTable {
    /// How the names of tables and chains begin whose programs ban addresses for a while.
    private static let banning = ["f2b-", "crowdsec", "sshguard"]

    /// How many elements of a set, or addresses of a rule, are looked at.
    private static let limit = 1000

    /// The sources that another program's rules name, by themselves or in a set or map; none of latchkey's own table.
    var sourcesInOtherRules: [CIDR] { sources(of: chains) }

    private func sources(of chains: [Part]) -> [CIDR] {
        guard id != .latchkey else { return [] }
        var named: [CIDR] = []
        var seen: Set<Substring> = []
        for rule in chains.flatMap(\.rules) {
            for source in Self.sources(in: rule) {
                if source.hasPrefix("@") {
                    guard seen.insert(source).inserted else { continue }
                    let parts = parts.filter { ["set", "map"].contains($0.kind) && $0.name == source.dropFirst() }
                    named += parts.flatMap { Self.networks($0.lines.lazy.map { $0[...] }) }
                } else {
                    named += Self.networks([source])
                }
            }
        }
        return named.filter { $0.prefixLength > 0 }
    }

    /// The same, but for programs that ban addresses for a while.
    var sourcesForGood: [CIDR] {
        let isForBans = { (name: String) in Self.banning.contains { name.hasPrefix($0) } }
        return isForBans(id.name) ? [] : sources(of: chains.filter { !isForBans($0.name) })
    }

    /// What stands where a rule looks at the source: an address, a network, a range, elements in braces, or a set.
    private static func sources(in rule: String) -> [Substring] {
        var sources: [Substring] = []
        var rest = rule[...]
        while let mark = rest.firstRange(of: " saddr ") {
            let family = rest[..<mark.lowerBound].split(separator: " ").last
            rest = rest[mark.upperBound...]
            guard family == "ip" || family == "ip6" else { continue }
            // Behind a concatenation or "vmap", the elements begin with the source too.
            if rest.hasPrefix(". ") || rest.hasPrefix("vmap ") || rest.hasPrefix("map ") {
                guard let start = rest.firstIndex(where: { $0 == "{" || $0 == "@" }) else { continue }
                rest = rest[start...]
            }
            guard !rest.hasPrefix("!=") else { continue }
            let end = rest.hasPrefix("{") ? rest.firstIndex(of: "}") : rest.firstIndex(of: " ")
            sources.append(rest[..<(end ?? rest.endIndex)])
        }
        return sources
    }

    /// The addresses and networks in elements; of a range, its ends.
    private static func networks(_ lines: some Sequence<Substring>) -> [CIDR] {
        var networks: [CIDR] = []
        var isInside = false
        for line in lines {
            // In a set, the elements follow its type and flags.
            var line = line
            if let start = line.ranges(of: "elements = {").first {
                isInside = true
                line = line[start.upperBound...]
            } else if line.hasPrefix("type ") || line.hasPrefix("typeof ") || line.hasPrefix("flags ") {
                continue
            }
            for element in line.split(whereSeparator: { "{},".contains($0) }) {
                guard networks.count < limit else { return networks }
                guard let word = element.split(whereSeparator: \.isWhitespace).first else { continue }
                networks += word.split(separator: "-").compactMap { try? CIDR(parsing: String($0)) }
            }
            if isInside, line.contains("}") { break }
        }
        return networks
    }
}
