import Host
import Netfilter
import Policy

/// A packet as `nft monitor trace` reports it.
struct TracedPacket: Equatable {
    /// What a chain made of the packet.
    enum Event: Equatable {
        /// A rule matched; with its verdict: `accept`, `drop`, `continue`, `jump web`.
        case rule(String, verdict: String)
        /// The chain's policy decided.
        case policy(ChainPolicy)
    }

    /// The packet's number.
    let id: Substring
    /// The packet's fields: `ip saddr 192.0.2.1 ip daddr ...`.
    var fields: [Substring] = []
    /// What happened, in order.
    var events: [(place: NFTPlace, event: Event)] = []

    static func == (left: TracedPacket, right: TracedPacket) -> Bool {
        left.id == right.id && left.fields == right.fields
            && left.events.elementsEqual(right.events) { $0.place == $1.place && $0.event == $1.event }
    }

    /// The packets in what the monitor printed, in the order of their arrival.
    static func read(_ text: String) -> [TracedPacket] {
        var packets: [TracedPacket] = []
        var places: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            // trace id 0cbe5521 inet firewalld filter_INPUT rule tcp dport 22 drop (verdict drop)
            let words = line.split(separator: " ", maxSplits: 6, omittingEmptySubsequences: true)
            guard words.count >= 7, words[0] == "trace", words[1] == "id" else { continue }
            let place = NFTPlace(table: "\(words[3]) \(words[4])", chain: String(words[5]))
            var index = places[words[2]] ?? packets.count
            // The kernel uses a number again: a packet is marked only once in each place.
            if index < packets.count, words[6].hasPrefix("packet:"), packets[index].isMarked(at: place) {
                index = packets.count
            }
            if index == packets.count {
                places[words[2]] = index
                packets.append(TracedPacket(id: words[2]))
            }
            packets[index].add(words[6], at: place)
        }
        return packets
    }

    private func isMarked(at place: NFTPlace) -> Bool {
        KernelTrace.isOwn(place.table) && events.contains { $0.place == place }
    }

    private mutating func add(_ text: Substring, at place: NFTPlace) {
        if text.hasPrefix("packet:") {
            if fields.isEmpty { fields = text.split(separator: " ") }
        } else if text.hasPrefix("policy ") {
            let isDrop = text.hasPrefix("policy drop")
            events.append((place, .policy(isDrop ? .drop : .accept)))
        } else if let start = text.ranges(of: "(verdict ").last {
            let verdict = text[start.upperBound...].prefix { $0 != ")" }
            let rule = text[..<start.lowerBound].drop { $0 != " " }.dropFirst()
            events.append((place, .rule(Self.plain(rule), verdict: String(verdict))))
        }
    }

    /// A rule without the numbers of its counter.
    static func plain(_ rule: some StringProtocol) -> String {
        String(rule).replacing(#/counter packets \d+ bytes \d+/#, with: "counter")
            .split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }

    // MARK: - Which packet it is

    /// Whether it is the packet that tries an expectation; of what the server begins, the reply.
    func belongs(to expectation: Expectation) -> Bool {
        let probe = expectation.probe
        let isReply = expectation.place == .server && expectation.direction == .out
        guard address("saddr") == (isReply ? probe.target : probe.source),
            address("daddr") == (isReply ? probe.source : probe.target)
        else { return false }
        let port = isReply ? "sport" : "dport"
        switch probe.kind {
        case .tcp, .established: return has("tcp", port, probe.port) && hasSource(probe, "tcp", isReply)
        case .udp:
            return has("udp", port, probe.port) && hasSource(probe, "udp", isReply) || isReply && isICMP
        case .ping: return hasType(isReply ? "echo-reply" : "echo-request")
        case .neighbour: return hasType("nd-neighbor-solicit")
        case .message: return NFTListing.icmpv6Name(of: UInt8(truncatingIfNeeded: probe.port)).map(hasType) ?? isICMP
        case .strayError: return hasType("destination-unreachable")
        case .tooBig: return hasType(probe.family == .ipv4 ? "destination-unreachable" : "packet-too-big")
        }
    }

    private func hasSource(_ probe: Probe, _ transport: Substring, _ isReply: Bool) -> Bool {
        probe.sourcePort.map { has(transport, isReply ? "dport" : "sport", $0) } ?? true
    }

    private func hasType(_ name: String) -> Bool {
        fields.indices.dropLast(1).contains { fields[$0] == "type" && fields[$0 + 1] == name }
    }

    private var isICMP: Bool { fields.contains("icmp") || fields.contains("icmpv6") }

    private func has(_ transport: Substring, _ field: String, _ value: UInt16) -> Bool {
        fields.indices.dropLast(2).contains { index in
            fields[index] == transport && fields[index + 1] == field && fields[index + 2] == "\(value)"
        }
    }

    private func address(_ field: String) -> IPAddress? {
        // Of an Ethernet frame, "ether saddr" comes first.
        for index in fields.indices.dropLast(2) where ["ip", "ip6"].contains(fields[index]) {
            if fields[index + 1] == field { return try? IPAddress(parsing: String(fields[index + 2])) }
        }
        return nil
    }
}

/// The path of a packet through the tables of nf_tables.
struct KernelPath: Sendable {
    /// The rules that it matched.
    let steps: [PacketTrace.Step]
    /// The rule or policy that decided; nil if none did that is known.
    let decision: CounterDifference.Decision?
    /// Whether the rule that decided took the packet out of the kernel's way (`synproxy`, `queue`): what becomes of it
    /// does not follow from the rule.
    var isTaken: Bool { decision?.rule?.isFinal == false }
}

extension TracedPacket {
    /// The packet's path, without the chain that marks it.
    var path: KernelPath {
        var steps: [PacketTrace.Step] = []
        var end: CounterDifference.Decision?
        var own: CounterDifference.Decision?
        for (place, event) in events where !KernelTrace.isOwn(place.table) {
            switch event {
            case .rule(let text, let word):
                let verdict = CountedRule.Verdict(traced: word, text)
                let rule = CountedRule(
                    table: place.table, chain: place.chain, text: text, verdict: verdict,
                    comment: Self.comment(in: text))
                steps.append(PacketTrace.Step(rule: rule, depth: 0, isMatch: true))
                guard rule.isFinal || Self.takes(word) else { continue }
                end = place.table == NFTable.Name.latchkey.description ? .rule(rule) : .earlier(rule)
                if place.table == NFTable.Name.latchkey.description { own = end }
            case .policy(let policy):
                end = .otherPolicy(policy, place)
            }
        }
        // Of several chains that accept, latchkey's is the one that matters.
        return KernelPath(steps: steps, decision: end?.isAccepted == true ? own ?? end : end)
    }

    /// Whether a verdict means that the kernel's chains see no more of the packet.
    private static func takes(_ verdict: String) -> Bool { verdict == "stolen" || verdict.hasPrefix("queue") }

    private static func comment(in text: String) -> String? {
        guard let start = text.ranges(of: "comment \"").last else { return nil }
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }
}

extension CountedRule.Verdict {
    /// A verdict as the monitor prints it; a rule that rejects is reported as one that drops.
    fileprivate init(traced word: String, _ rule: String) {
        let words = word.split(separator: " ")
        switch words.first {
        case "accept": self = .accept
        case "drop": self = rule.split(separator: " ").contains("reject") ? .reject : .drop
        case "jump": self = words.count > 1 ? .jump(String(words[1])) : .other
        case "goto": self = words.count > 1 ? .goto(String(words[1])) : .other
        default: self = .other
        }
    }
}
