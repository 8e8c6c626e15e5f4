import Host
import Netfilter

/// Temporary entries on iptables: a chain of their own in each family's filter table, and sets with timeouts (ipset(8)).
///
/// One rule at the beginning of INPUT leads there. For a change it is another program's: it stays ahead of pending and
/// kept rules.
struct IPTablesTemporaryRules: TemporaryBackend {
    private let kernel: LiveRules

    /// More elements than any list of temporary entries; the kernel reserves nothing for them.
    private static let mostElements = 4_194_304

    /// The rules of one of the iptables backends.
    ///
    /// - Parameter kernel: its tools.
    init(_ kernel: LiveRules) { self.kernel = kernel }

    // MARK: - Sets

    private static func name(_ list: String, _ family: Family) -> String {
        "\(TemporaryParts.setPrefix)\(list)\(family == .ipv4 ? 4 : 6)"
    }

    func elements() async throws(ChangeError) -> [TemporaryElement] {
        guard let sets = kernel.sets else { return [] }
        var found: [TemporaryElement] = []
        for family in Family.allCases {
            for list in TemporaryElement.List.allCases {
                let name = Self.name(list.rawValue, family)
                let text = try await ChangeError.wrap { () async throws(HostError) in try await sets.dump(name) }
                found += (text ?? "").split(separator: "\n").compactMap { Self.element(in: list, $0) }
            }
        }
        return found
    }

    /// The element of a line such as `add NAME 192.0.2.0/24,tcp:80 timeout 7198 comment "80/tcp"`.
    private static func element(in list: TemporaryElement.List, _ line: Substring) -> TemporaryElement? {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count > 2, words[0] == "add" else { return nil }
        let key = words[2].split(separator: ",", maxSplits: 1)
        guard let source = key.first.flatMap({ try? CIDR(parsing: String($0)) }) else { return nil }
        let rest = words.count > 3 ? words[3] : ""
        let label = rest.split(separator: "comment \"", maxSplits: 1).last.map { String($0.dropLast()) }
        let options = rest.split(separator: " ", maxSplits: 2)
        let seconds = options.count > 1 && options[0] == "timeout" ? Int(options[1]) : nil
        var element = TemporaryElement(
            list: list, source: source, ports: nil, label: rest.contains("comment \"") ? label ?? "" : "",
            secondsLeft: seconds == 0 ? nil : seconds)
        guard list == .ports else { return element }
        let port = (key.last ?? "").split(separator: ":")
        guard port.count == 2, let ports = try? PortSpec(parsing: "\(port[1])/\(port[0])") else { return nil }
        element.ports = ports
        return element
    }

    private static func key(_ element: TemporaryElement) -> String {
        let ports = element.ports.map { ",\($0.transport.rawValue):\($0.range)" } ?? ""
        return "\(name(element.list.rawValue, element.source.family)) \(element.source)\(ports)"
    }

    /// The commands for ipset that make the sets of a family.
    private static func creation(_ family: Family, admins: [CIDR]) -> String {
        let inet = family == .ipv4 ? "inet" : "inet6"
        let timed = TemporaryElement.List.allCases.map { list in
            "create \(name(list.rawValue, family)) hash:net\(list == .ports ? ",port" : "") family \(inet) timeout 0 comment "
                + "maxelem \(mostElements)\n"
        }
        let set = name(adminList, family)
        let own = admins.filter { $0.family == family }.flatMap(halves)
        return timed.joined() + "create \(set) hash:net family \(inet) maxelem \(mostElements)\nflush \(set)\n"
            + own.map { "add \(set) \($0)\n" }.joined()
    }

    /// The name of the list of networks that no entry blocks.
    private static let adminList = "admin"

    /// A set does not take a network of length 0.
    private static func halves(_ network: CIDR) -> [String] {
        guard network.isEverything else { return [network.description] }
        return Gate(.set, network.family).halves
    }

    // MARK: - Rules

    /// The rules of the chain, as iptables-save prints them.
    private static func rules(_ family: Family) -> [String] {
        func lookUp(_ list: String, _ direction: String, _ comment: String, _ verdict: String) -> String {
            "-A \(TemporaryParts.chain) -m set --match-set \(name(list, family)) \(direction) -m comment --comment "
                + "\"\(TemporaryParts.comment), \(comment)\" -j \(verdict)"
        }
        // What the addresses of neighbours need (RFC 4861).
        let neighbours = (133...136).map { type in
            "-A \(TemporaryParts.chain) -p ipv6-icmp -m icmp6 --icmpv6-type \(type) -m hl --hl-eq 255 -j RETURN"
        }
        return [
            "-A \(TemporaryParts.chain) -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
            "-A \(TemporaryParts.chain) -i lo -j RETURN",
        ] + (family == .ipv6 ? neighbours : []) + [
            lookUp("allow", "src", "allowed", "ACCEPT"), lookUp("ports", "src,dst", "allowed ports", "ACCEPT"),
            lookUp(adminList, "src", "admins", "RETURN"), lookUp("block", "src", "blocked", "DROP"),
        ]
    }

    private static let jump = "-m comment --comment \"\(TemporaryParts.comment)\" -j \(TemporaryParts.chain)"

    /// Whether a dump shows the whole chain, and that the rule that leads there is ahead of latchkey's.
    private static func isComplete(_ live: RuleSet, _ family: Family) -> Bool {
        let chain = live["filter"]?.rules(in: TemporaryParts.chain) ?? []
        let input = InputChain(of: live).rules
        guard let place = input.firstIndex(where: \.isTemporary) else { return false }
        return chain.map(\.withoutCounters.text) == rules(family)
            && !input[..<place].contains { $0.isGate || $0.isOwned }
    }

    func isActive(_ family: Family) async throws(ChangeError) -> Bool {
        Self.isComplete(try await kernel.read(family), family)
    }

    func edit(
        adding added: [TemporaryElement], removing removed: [TemporaryElement], admins: [CIDR]
    ) async throws(ChangeError) {
        guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
        let families = Family.allCases.filter { family in added.contains { $0.source.family == family } }
        let lines =
            families.map { Self.creation($0, admins: admins) }
            + added.map { "add \(Self.key($0)) timeout \($0.secondsLeft ?? 0) comment \"\($0.label)\"\n" }
            // Last: a source that moves from one list to the other is never in none.
            + removed.map { "del \(Self.key($0))\n" }
        try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(lines.joined()) }
        for family in families {
            let live = try await kernel.read(family)
            guard !Self.isComplete(live, family) else { continue }
            let text =
                ["*filter", ":\(TemporaryParts.chain) - \(Counters.zero.text)"] + Self.rules(family)
                + Self.deletions(in: live) + ["-I INPUT 1 \(Self.jump)", "COMMIT"]
            try await kernel.load(
                RestoreInput(text: text.joined(separator: "\n") + "\n", flush: false, counters: false), family)
        }
    }

    /// The commands that delete all rules of INPUT that lead to the chain.
    private static func deletions(in live: RuleSet) -> [String] {
        InputChain(of: live).rules.enumerated().reversed().filter { $0.element.isTemporary }.map {
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
        let names = (TemporaryElement.List.allCases.map(\.rawValue) + [Self.adminList]).flatMap { list in
            Family.allCases.map { Self.name(list, $0) }
        }
        await kernel.sets?.remove(names)
    }
}
