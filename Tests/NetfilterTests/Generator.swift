import TestSupport

@testable import Netfilter

/// Generates rule sets with every kind of match and target.
struct RuleSetGenerator {
    var random: SeededNumbers

    init(seed: UInt64) {
        random = SeededNumbers(seed: seed)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    mutating func flag() -> Bool { Bool.random(using: &random) }

    mutating func pick<Element>(_ choices: [Element], or fallback: Element) -> Element {
        choices.randomElement(using: &random) ?? fallback
    }

    mutating func text() -> String {
        let pieces = [
            "a", "Z", "7", "-", "_", " ", "  ", "\t", "\"", "\\", "'", "!", "-j", "#", "COMMIT", "ü", "[0:0]", ":",
        ]
        return (0..<number(0...8)).map { _ in pick(pieces, or: "") }.joined()
    }

    mutating func network() throws -> CIDR {
        let bytes = (0..<(flag() ? 4 : 16)).map { _ in UInt8(number(0...255)) }
        let length = number(0...bytes.count * 8)
        let masked = bytes.enumerated().map { index, byte in
            byte & ~UInt8(truncatingIfNeeded: 0xff >> min(max(length - index * 8, 0), 8))
        }
        guard let address = IPAddress(bytes: masked) else { throw AddressError.notAnAddress("\(masked)") }
        return try CIDR(address, prefixLength: length)
    }

    mutating func ports() -> PortRange {
        let lower = number(1...65535)
        return PortRange(lower: UInt16(lower), upper: UInt16(flag() ? lower : number(lower...65535)))
    }

    mutating func match() throws -> Match {
        switch number(0...13) {
        case 0: return try .source(network(), negated: flag())
        case 1: return try .destination(network(), negated: flag())
        case 2: return .inInterface(pick(["lo", "eth0", "br-+"], or: "lo"), negated: flag())
        case 3: return .outInterface("docker0", negated: flag())
        case 4: return .transport(pick(["tcp", "udp", "esp", "ipv6-icmp"], or: "tcp"), negated: flag())
        case 5:
            return .ports(
                flag() ? .tcp : .udp, source: flag() ? .init(ports(), negated: flag()) : nil,
                destination: flag() ? .init(ports(), negated: flag()) : nil)
        case 6:
            let side = pick(Match.PortSide.allCases, or: .either)
            return .multiport(side, (0..<number(1...15)).map { _ in ports() }, negated: flag())
        case 7:
            let states = Match.ConnectionState.allCases.filter { _ in flag() }
            return .conntrack(states.isEmpty ? [.new] : states, negated: flag())
        case 8: return .icmp(type: UInt8(number(0...255)), code: flag() ? UInt8(number(0...255)) : nil)
        case 9: return .icmpv6(type: UInt8(number(0...255)), code: flag() ? 0 : nil)
        case 10: return .hopLimit(UInt8(number(0...255)))
        case 11:
            let rate = Match.Rate(UInt32(number(1...10000)), per: pick(Match.Rate.Unit.allCases, or: .day))
            return .limit(rate, burst: flag() ? UInt32(number(1...100)) : nil)
        case 12: return .comment(text())
        default: return .words(["-m", "string", "--string", text(), "--algo", "bm"])
        }
    }

    mutating func target() -> Target? {
        switch number(0...8) {
        case 0: .accept
        case 1: .drop
        case 2: .return
        case 3: .jump("f2b-sshd")
        case 4: .goto("IN_public")
        case 5: .log(prefix: flag() ? text() : nil, level: flag() ? UInt8(number(0...7)) : nil)
        case 6: .reject(with: "tcp-reset")
        case 7: .words(["-j", "NFLOG", "--nflog-prefix", text()])
        default: nil
        }
    }

    mutating func counters() -> Counters {
        Counters(packets: random.next(), bytes: UInt64(number(0...5)))
    }

    mutating func table(_ name: String) throws -> Table {
        let builtIn = (Chain.builtIn(ofTable: name) ?? []).map { chain in
            Chain(chain, policy: flag() ? .accept : .drop, counters: counters())
        }
        let chains = builtIn + [Chain("f2b-sshd"), Chain("IN_public")]
        let rules = try (0..<number(0...12)).map { _ in
            let matches = try (0..<number(0...4)).map { _ in try match() }
            return Rule(
                pick(chains.map(\.name), or: "INPUT"), matches, target: target(), counters: flag() ? counters() : nil)
        }
        return Table(name, chains: chains, rules: rules)
    }

    mutating func ruleSet() throws -> RuleSet {
        let names = ["raw", "mangle", "nat", "filter", "security"].filter { _ in flag() }
        return RuleSet(tables: try names.map { try table($0) })
    }
}
