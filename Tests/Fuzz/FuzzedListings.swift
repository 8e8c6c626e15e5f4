import Netfilter

@testable import Host
@testable import Rehearsal
@testable import SafeApply

/// The readers of what nft prints as JSON: listings, one a line, the first before a batch of packets and the last after.
enum FuzzedListings {
    static func read(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map(Array.init)
        let listings = lines.compactMap { try? NFTListing($0) }
        for family in Family.allCases {
            let readings = listings.map { listing in
                NFTablesCounters.rules(listing, family) { "handle \($0.handle)" }
            }
            readings.forEach(check)
            guard let before = readings.first, let after = readings.last else { continue }
            check(CounterDifference(from: before, to: after))
        }
        for line in lines {
            checkElements(line)
            let chains = InputHookChain.read(line)
            require(chains == InputHookChain.read(line), "another order when it is read again")
        }
    }

    private static func check(_ rules: CountedRules) {
        for base in rules.bases {
            require(rules.reached(from: base).count <= rules.chains.count, "more chains than there are")
        }
        for rule in rules.chains.flatMap(\.rules) { _ = (rule.fullText, rule.targets, rule.unaskedTypes) }
    }

    private static func check(_ difference: CounterDifference) {
        require(difference.movements.allSatisfy { $0.packets > 0 }, "a rule that has counted nothing")
        for isAccepted in [nil, true, false] {
            _ = difference.decision(of: 1, isAccepted: isAccepted, icmpv6: 135)
        }
        _ = difference.dropped
    }

    /// Temporary entries: they are what the set's name says.
    private static func checkElements(_ line: [UInt8]) {
        guard let listing = JSONText.decode(TemporarySetListing.self, from: line) else { return }
        for name in ["allow-ipv4-32", "block-ipv6-64", "tcp60000_61000-ipv4-8"] {
            guard let set = TemporarySet(named: TemporaryParts.tableSetPrefix + name) else { continue }
            let elements = listing.elements(of: set)
            require(elements.allSatisfy { $0.source.prefixLength == set.prefixLength }, "another prefix length")
            _ = TemporaryEntry.listed(elements)
        }
    }
}
