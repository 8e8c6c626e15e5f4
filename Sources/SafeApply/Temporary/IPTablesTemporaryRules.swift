import Host
import Netfilter

/// Temporary entries on iptables: a chain of their own in each family's filter table, and sets with timeouts (ipset(8)).
///
/// One rule at the beginning of INPUT leads there. For a change it is another program's: it stays ahead of pending and
/// kept rules.
struct IPTablesTemporaryRules: TemporaryBackend {
    private let kernel: LiveRules

    /// Many more than anybody adds; the kernel reserves nothing for them.
    private static let mostElements = 4_194_304
    /// The word for the set of networks that no entry blocks.
    private static let admins = "admin"

    /// The rules of one of the iptables backends.
    ///
    /// - Parameter kernel: its tools.
    init(_ kernel: LiveRules) { self.kernel = kernel }

    // MARK: - Sets

    private static func name(_ word: String, _ family: Family) -> String {
        "\(TemporaryParts.setPrefix)\(word)-\(family == .ipv4 ? 4 : 6)"
    }

    /// The sets that exist in a family; that of the admins is not among them.
    private func lists(_ family: Family) async throws(ChangeError) -> [TemporaryElement.List] {
        guard let sets = kernel.sets else { return [] }
        let names = try await ChangeError.wrap { () async throws(HostError) in try await sets.names() }
        let end = Self.name("", family).suffix(2)
        return names.filter { $0.hasPrefix(TemporaryParts.setPrefix) && $0.hasSuffix(end) }.compactMap { name in
            TemporaryElement.List(name.dropFirst(TemporaryParts.setPrefix.count).dropLast(end.count))
        }.sorted { $0.place < $1.place }
    }

    func elements() async throws(ChangeError) -> [TemporaryElement] {
        guard let sets = kernel.sets else { return [] }
        var found: [TemporaryElement] = []
        for family in Family.allCases {
            for list in try await lists(family) {
                let name = Self.name(list.word, family)
                let text = try await ChangeError.wrap { () async throws(HostError) in try await sets.dump(name) }
                found += text.split(separator: "\n").compactMap { Self.element(in: list, $0) }
            }
        }
        return found
    }

    /// The element of a line such as `add NAME 192.0.2.0/24 timeout 7198 comment "80/tcp"`.
    private static func element(in list: TemporaryElement.List, _ line: Substring) -> TemporaryElement? {
        let words = line.split(separator: " ", maxSplits: 6)
        guard words.count > 2, words[0] == "add", let source = try? CIDR(parsing: String(words[2])) else { return nil }
        let seconds = words.count > 4 && words[3] == "timeout" ? Int(words[4]) : nil
        let label = words.count > 6 && words[5] == "comment" ? words[6].dropFirst().dropLast() : ""
        return TemporaryElement(
            list: list, source: source, label: String(label), secondsLeft: seconds == 0 ? nil : seconds)
    }

    /// The commands for ipset that make the sets of a family.
    private static func creation(
        _ lists: [TemporaryElement.List], _ family: Family, admins networks: [CIDR]
    ) -> String {
        let kind = "hash:net family \(family == .ipv4 ? "inet" : "inet6") maxelem \(mostElements)"
        let set = name(admins, family)
        return lists.map { "create \(name($0.word, family)) \(kind) timeout 0 comment\n" }.joined()
            + "create \(set) \(kind)\nflush \(set)\n"
            + networks.filter { $0.family == family }.flatMap(halves).map { "add \(set) \($0)\n" }.joined()
    }

    /// A set does not take a network of length 0.
    private static func halves(_ network: CIDR) -> [String] {
        guard network.isEverything else { return [network.description] }
        return Gate(.set, network.family).halves
    }

    // MARK: - Rules

    /// The rules of the chain, as iptables-save prints them.
    private static func rules(
        _ lists: [TemporaryElement.List], _ family: Family, _ interfaces: [InterfaceName]
    ) -> [String] {
        func lookUp(_ word: String, _ comment: String, _ verdict: String, match: String = "") -> String {
            "-A \(TemporaryParts.chain) \(match)-m set --match-set \(name(word, family)) src -m comment --comment "
                + "\"\(TemporaryParts.comment), \(comment)\" -j \(verdict)"
        }
        // What the addresses of neighbours need (RFC 4861).
        let neighbours = (133...136).map { type in
            "-A \(TemporaryParts.chain) -p ipv6-icmp -m icmp6 --icmpv6-type \(type) -m hl --hl-eq 255 -j RETURN"
        }
        var allowed: [String] = []
        var blocked: [String] = []
        for list in lists {
            switch list {
            case .allow: allowed.append(lookUp(list.word, "allowed", "ACCEPT"))
            case .block: blocked.append(lookUp(list.word, "blocked", "DROP"))
            case .ports(let ports):
                let transport = ports.transport.rawValue
                let match = "-p \(transport) -m \(transport) --dport \(ports.range.iptablesText) "
                allowed.append(lookUp(list.word, "allowed", "ACCEPT", match: match))
            }
        }
        return [
            "-A \(TemporaryParts.chain) -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
            "-A \(TemporaryParts.chain) -i lo -j RETURN",
        ] + (family == .ipv6 ? neighbours : []) + allowed + [lookUp(admins, "admins", "RETURN")]
            + interfaces.map { interface in
                "-A \(TemporaryParts.chain) -i \(interface) -m comment --comment \"\(TemporaryParts.comment), admins\" "
                    + "-j RETURN"
            } + blocked
    }

    private static let jump = "-m comment --comment \"\(TemporaryParts.comment)\" -j \(TemporaryParts.chain)"

    /// Whether a dump shows the whole chain, and that the rule that leads there is ahead of latchkey's.
    private static func isComplete(
        _ live: RuleSet, _ lists: [TemporaryElement.List], _ family: Family, _ interfaces: [InterfaceName]? = nil
    ) -> Bool {
        let chain = live["filter"]?.rules(in: TemporaryParts.chain) ?? []
        let input = InputChain(of: live).rules
        guard let place = input.firstIndex(where: \.leadsToTemporary) else { return false }
        let present = chain.map(\.withoutCounters.text)
        let wanted = rules(lists, family, interfaces ?? chain.compactMap(\.adminInterface))
        return present == wanted
            && !input[..<place].contains { $0.isOwned && $0.comment?.hasSuffix("emergency opening") != true }
    }

    func isActive(_ family: Family) async throws(ChangeError) -> Bool {
        Self.isComplete(try await kernel.read(family), try await lists(family), family)
    }

    func unblockedInterfaces(_ family: Family) async throws(ChangeError) -> [InterfaceName] {
        let live = try await kernel.read(family)
        return live["filter"]?.rules(in: TemporaryParts.chain).compactMap(\.adminInterface) ?? []
    }

    func edit(
        adding added: [TemporaryElement], removing removed: [TemporaryElement], admins: UnblockedSources
    ) async throws(ChangeError) {
        guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
        // What has no elements any more goes.
        let all = try await elements() + added
        let families = Family.allCases.filter { family in added.contains { $0.source.family == family } }
        let used = families.map { family in
            (family, Set(all.filter { $0.source.family == family }.map(\.list)).sorted { $0.place < $1.place })
        }
        let lines =
            used.map { Self.creation($1, $0, admins: admins.networks) }
            + added.map { "add \(Self.key($0)) timeout \($0.secondsLeft ?? 0) comment \"\($0.label)\"\n" }
            // Last: a source that moves from one list to the other is never in none.
            + removed.map { "del \(Self.key($0))\n" }
        try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(lines.joined()) }
        for (family, lists) in used {
            let live = try await kernel.read(family)
            if !Self.isComplete(live, lists, family, admins.interfaces) {
                let text =
                    ["*filter", ":\(TemporaryParts.chain) - \(Counters.zero.text)"]
                    + Self.rules(lists, family, admins.interfaces)
                    + Self.deletions(in: live) + ["-I INPUT 1 \(Self.jump)", "COMMIT"]
                try await kernel.load(
                    RestoreInput(text: text.joined(separator: "\n") + "\n", flush: false, counters: false), family)
            }
            let stale = try await self.lists(family).filter { !lists.contains($0) }
            await sets.remove(stale.map { Self.name($0.word, family) })
        }
    }

    private static func key(_ element: TemporaryElement) -> String {
        "\(name(element.list.word, element.source.family)) \(element.source)"
    }

    /// The commands that delete all rules of INPUT that lead to the chain.
    private static func deletions(in live: RuleSet) -> [String] {
        InputChain(of: live).rules.enumerated().reversed().filter { $0.element.leadsToTemporary }.map {
            "-D INPUT \($0.offset + 1)"
        }
    }

    func removeAll() async throws(ChangeError) {
        _ = try await kernel.eachFamily(kernel.tools.present.map(\.family)) { family throws(ChangeError) in
            let live = try await kernel.read(family)
            guard live["filter"]?.chain(TemporaryParts.chain) != nil else { return true }
            let text =
                ["*filter"] + Self.deletions(in: live)
                + ["-F \(TemporaryParts.chain)", "-X \(TemporaryParts.chain)", "COMMIT"]
            try await kernel.load(
                RestoreInput(text: text.joined(separator: "\n") + "\n", flush: false, counters: false), family)
            return true
        }
        for family in Family.allCases {
            let words = try await lists(family).map(\.word) + [Self.admins]
            await kernel.sets?.remove(words.map { Self.name($0, family) })
        }
    }
}

extension Rule {
    /// Whether it leads to the chain; an observation has one of its own.
    fileprivate var leadsToTemporary: Bool { jumpsTo == TemporaryParts.chain }

    /// The interface of the admins that it is about; nil for other rules.
    fileprivate var adminInterface: InterfaceName? {
        guard comment == "\(TemporaryParts.comment), admins", case .inInterface(let name, false)? = matches.first else {
            return nil
        }
        return try? InterfaceName(parsing: name)
    }
}
