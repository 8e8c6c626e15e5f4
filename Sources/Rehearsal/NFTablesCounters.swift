import FoundationEssentials
import Host
import Netfilter
import Synchronization

/// Reads the counters of all tables of nf_tables, in latchkey's own form.
package final class NFTablesCounters: CounterSource {
    private let nft: String
    private let runner: any CommandRunner
    /// The rules' text, which takes a listing of its own.
    private let texts = Mutex<[Key: String]>([:])

    package let families: [Family]
    private let path: PacketPath

    /// One of latchkey's rules may count packets of both families.
    package var isShared: Bool { true }

    package func shows(_ chain: InputHookChain) async -> Bool { false }

    /// What a rule is known by.
    private struct Key: Hashable {
        let table: String
        let chain: String
        let handle: Int
    }

    /// The hooks that a packet passes, in order.
    private static func hooks(_ path: PacketPath) -> [String] {
        ["ingress", "prerouting", path == .incoming ? "input" : "forward"]
    }

    /// The counters of the tables where the runner works.
    ///
    /// - Parameters:
    ///   - families: the families that the kernel has.
    ///   - toolbox: finds nft.
    ///   - runner: runs it where the rules are.
    ///   - path: the packets' way.
    /// - Throws: `toolMissing`.
    package init(
        families: [Family], toolbox: Toolbox, runner: any CommandRunner, path: PacketPath = .incoming
    ) throws(HostError) {
        nft = try toolbox.need("nft")
        self.families = families
        self.path = path
        self.runner = runner
    }

    package func read(_ family: Family) async throws -> CountedRules {
        let command = Command(nft, ["-j", "-t", "list", "ruleset"])
        let json = try await runner.check(command).output
        let listing: NFTListing
        do { listing = try NFTListing(json) } catch {
            throw HostError.toolUnusable(command: command.words, reason: "its output cannot be read: \(error)")
        }
        if listing.nftables.contains(where: { $0.rule.map { text(of: $0) == nil } ?? false }) { try await readTexts() }
        return Self.rules(listing, family, path: path) { self.text(of: $0) ?? "handle \($0.handle)" }
    }

    /// The rules in a listing that a packet of a family may meet.
    static func rules(
        _ listing: NFTListing, _ family: Family, path: PacketPath = .incoming, text: (NFTListing.Rule) -> String
    ) -> CountedRules {
        let wanted = ["inet", "netdev", family == .ipv4 ? "ip" : "ip6"]
        var rules: [NFTPlace: [CountedRule]] = [:]
        for rule in listing.nftables.compactMap(\.rule) where wanted.contains(rule.family) {
            let place = NFTPlace(table: "\(rule.family) \(rule.table)", chain: rule.chain)
            rules[place, default: []].append(
                CountedRule(
                    table: place.table, chain: place.chain, text: text(rule), verdict: rule.verdict,
                    packets: rule.packets, comment: rule.comment, handle: rule.handle,
                    isForReplies: rule.isForReplies, types: rule.icmpv6Types, branches: rule.branches
                ).on(path))
        }
        var bases: [(order: (Int, Int), chain: CountedRules.Chain)] = []
        var others: [CountedRules.Chain] = []
        for chain in listing.nftables.compactMap(\.chain) where wanted.contains(chain.family) {
            let place = NFTPlace(table: "\(chain.family) \(chain.table)", chain: chain.name)
            var counted = CountedRules.Chain(table: place.table, name: place.chain, rules: rules[place] ?? [])
            if chain.type == "filter", let hook = chain.hook.flatMap(hooks(path).firstIndex) {
                counted.base = CountedRules.Base(
                    policy: chain.policy == "drop" ? .drop : .accept,
                    isDeciding: place.table == NFTable.Name.latchkey.description && chain.hook == hooks(path).last)
                bases.append(((hook, chain.prio ?? 0), counted))
            } else {
                others.append(counted)
            }
        }
        return CountedRules(chains: bases.sorted { $0.order < $1.order }.map(\.chain) + others, path: path)
    }

    // MARK: - The text of rules

    private func text(of rule: NFTListing.Rule) -> String? {
        let key = Key(table: "\(rule.family) \(rule.table)", chain: rule.chain, handle: rule.handle)
        return texts.withLock { $0[key] }
    }

    private func readTexts() async throws {
        let listing = try await runner.check(Command(nft, ["-s", "-a", "-t", "list", "ruleset"])).text
        let read = Self.texts(listing)
        texts.withLock { $0 = read }
    }

    /// Every rule's line in a listing with handles.
    private static func texts(_ listing: String) -> [Key: String] {
        var texts: [Key: String] = [:]
        var table = ""
        var chain = ""
        for line in listing.split(separator: "\n") {
            let text = line.drop { $0 == "\t" || $0 == " " }
            // A comment may hold anything, but not after the handle.
            guard let mark = text.ranges(of: " # handle ").last, let handle = Int(text[mark.upperBound...]) else {
                continue
            }
            let body = text[..<mark.lowerBound]
            if line.first == "t", body.hasPrefix("table ") {
                table = String(body.dropFirst(6).dropLast(2))
            } else if body.hasPrefix("chain "), body.hasSuffix(" {") {
                chain = String(body.dropFirst(6).dropLast(2))
            } else if !body.hasSuffix(" {") {
                texts[Key(table: table, chain: chain, handle: handle)] = TracedPacket.plain(body)
            }
        }
        return texts
    }
}
