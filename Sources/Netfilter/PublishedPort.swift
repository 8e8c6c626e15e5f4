/// A port that rules forward to another host, such as a container's published port: its packets bypass INPUT.
package struct PublishedPort: Hashable, Sendable {
    /// The ports of this machine that packets are sent to.
    package let ports: PortSpec
    /// The address of this machine that they must be sent to; nil for every address.
    package let address: CIDR?
    /// Where the packets go: `172.17.0.2:80`.
    package let destination: String

    /// A published port.
    package init(_ ports: PortSpec, on address: CIDR? = nil, to destination: String) {
        self.ports = ports
        self.address = address
        self.destination = destination
    }

    /// Whether only this machine itself can reach it: it is published on a loopback address.
    package var isLocalOnly: Bool {
        guard let address else { return false }
        return address.family == .ipv4
            ? address.address.bytes[0] == 127
            : address.prefixLength == 128 && address.address.bytes.last == 1
                && address.address.bytes.dropLast().allSatisfy { $0 == 0 }
    }

    /// Whether it forwards that port; a rule for all ports does not count.
    package func covers(_ port: UInt16, _ transport: TransportProtocol) -> Bool {
        ports.transport == transport && ports.range != Self.allPorts && ports.range.contains(port)
    }

    /// All ports, where a rule names none.
    package static let allPorts = PortRange(lower: 1, upper: .max)
}

// MARK: - Rules of iptables

extension PublishedPort {
    /// The ports that rules of iptables forward before INPUT sees the packets.
    ///
    /// Docker and Swarm write `-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80`, and
    /// netavark the same in a chain for each container. A rule of Kubernetes for one pod, which names no port of this
    /// machine, is not a published port.
    ///
    /// - Parameter rules: the rules of one family.
    /// - Returns: each port once, in the order of the rules; all ports, if a rule names none.
    package static func all(in rules: RuleSet) -> [PublishedPort] {
        var seen: Set<PublishedPort> = []
        return (rules["nat"]?.rules ?? []).filter { $0.chain != "OUTPUT" && !$0.chain.hasPrefix("KUBE-SEP-") }
            .flatMap(forwarded).filter { seen.insert($0).inserted }
    }

    private static func forwarded(by rule: Rule) -> [PublishedPort] {
        let words = (rule.target?.text ?? "").split(separator: " ")
        guard words.count >= 4, words[1] == "DNAT", words[2] == "--to-destination" else { return [] }
        var transports = TransportProtocol.allCases
        var ranges: [PortRange] = []
        var address: CIDR?
        for match in rule.matches {
            switch match {
            case .transport(let name, false): transports = [TransportProtocol(rawValue: name)].compactMap(\.self)
            case .ports(_, _, let destination?) where !destination.negated: ranges.append(destination.range)
            case .multiport(.destination, let several, false): ranges += several
            case .destination(let network, false): address = network
            default: break
            }
        }
        if ranges.isEmpty { ranges = [allPorts] }
        return transports.flatMap { transport in
            ranges.map { PublishedPort(PortSpec(range: $0, transport: transport), on: address, to: String(words[3])) }
        }
    }
}

// MARK: - Tables of nftables

extension PublishedPort {
    /// The ports that tables of nftables forward: those of Docker's nftables backend (`ip docker-bridges`), of netavark
    /// (`inet netavark`), and of anyone else.
    ///
    /// - Parameter tables: the tables, as nft lists them, without those of iptables.
    /// - Returns: each port once, in the order of the rules.
    package static func all(in tables: [NFTable]) -> [PublishedPort] {
        var seen: Set<PublishedPort> = []
        let chains = tables.flatMap(\.chains).filter { !($0.hook?.contains(" hook output ") ?? false) }
        return chains.flatMap(\.rules).flatMap(forwarded).filter { seen.insert($0).inserted }
    }

    /// The ports that a rule such as `iifname != "docker0" tcp dport 8080 counter dnat to 172.17.0.2:80` forwards.
    private static func forwarded(by line: String) -> [PublishedPort] {
        let words = line.split(separator: " ").map(String.init)
        guard let dnat = words.firstIndex(of: "dnat"),
            let to = words[dnat...].prefix(3).firstIndex(of: "to"), words.indices.contains(to + 1)
        else { return [] }
        let destination = words[to + 1]
        var transports = TransportProtocol.allCases
        var ranges: [PortRange] = []
        var address: CIDR?
        for index in 0..<dnat {
            switch words[index] {
            case "dport":
                ranges += values(words, after: index).compactMap { try? PortRange(parsing: $0) }
                let transport = index > 0 ? TransportProtocol(rawValue: words[index - 1]) : nil
                if let transport { transports = [transport] }
            case "l4proto":
                transports = values(words, after: index).compactMap(TransportProtocol.init)
            case "daddr" where index > 0 && ["ip", "ip6"].contains(words[index - 1]):
                if index + 1 < dnat { address = try? CIDR(parsing: words[index + 1]) }
            default: break
            }
        }
        if ranges.isEmpty { ranges = [allPorts] }
        return transports.flatMap { transport in
            ranges.map { PublishedPort(PortSpec(range: $0, transport: transport), on: address, to: destination) }
        }
    }

    /// The value after a word: one, or those between braces; none after `!=`.
    private static func values(_ words: [String], after index: Int) -> [String] {
        guard words.indices.contains(index + 1) else { return [] }
        guard words[index + 1] == "{" else { return [words[index + 1]] }
        return words[(index + 2)...].prefix { $0 != "}" }.map { String($0.prefix { $0 != "," }) }
    }
}
