import Host
import Netfilter
import Rehearsal
import SafeApply

extension AnswerCounters {
    /// The counters in latchkey's table of nftables; nil if they cannot be read.
    ///
    /// - Parameter environment: the machine.
    init?(tableIn environment: ChangeEnvironment) async {
        // Asked for the table only, nft 1.0.6 reads the elements of its sets all the same.
        guard let nft = environment.toolbox.find("nft"),
            let result = try? await environment.runner.run(Command(nft, ["-j", "-t", "list", "ruleset", "inet"])),
            result.status == 0, let read = try? AnswerCounters(nftables: result.output), !read.counts.isEmpty
        else { return nil }
        self = read
    }

    /// The counters in rules of iptables; nil if none is latchkey's.
    init?(ofRules rules: [RuleSet]) {
        self.init(rules)
        if counts.isEmpty { return nil }
    }

    /// The counters of the kept rules; nil if they cannot be read.
    ///
    /// - Parameters:
    ///   - kept: the kept rules.
    ///   - environment: the machine.
    init?(of kept: KeptRules, in environment: ChangeEnvironment) async {
        if kept.backend == .nftables {
            await self.init(tableIn: environment)
            return
        }
        let families = kept.rules.present.map(\.family).filter(environment.families.contains)
        guard
            let live = try? await LiveRules(
                backend: kept.backend, families: families, toolbox: environment.toolbox, runner: environment.runner),
            let rules = try? await live.readAll()
        else { return nil }
        self.init(ofRules: rules.present.map(\.value))
    }

    /// The counters as `status --json` reports them.
    var reported: [StatusReport.Counter] {
        counts.map { StatusReport.Counter(answer: $0.answer, packets: $0.packets, bytes: $0.bytes) }
    }

    /// The counters for people: `replies 123456, admins 12, ssh 34, dropped 5012`.
    var text: String { Wrapping.text("Packets since these rules were loaded: \(totals).") }

    private var totals: String {
        var totals: [(name: String, packets: UInt64)] = []
        for count in counts where !count.isDropped {
            guard let name = Self.shortName(count.answer) else { continue }
            if let index = totals.firstIndex(where: { $0.name == name }) {
                totals[index].packets &+= count.packets
            } else {
                totals.append((name, count.packets))
            }
        }
        return (totals + [("dropped", dropped)]).map { "\($0.name) \($0.packets)" }.joined(separator: ", ")
    }

    /// An answer in a list with commas: `services web, mail; port 8080/tcp` is `web+mail+8080/tcp`.
    ///
    /// - Parameter answer: the answer as the comment has it.
    /// - Returns: nil for rules about published ports that only lead to others.
    private static func shortName(_ answer: String) -> String? {
        if answer.hasPrefix("replies ") { return "replies" }
        if answer.hasPrefix("ping ") { return "ping" }
        if answer.hasPrefix("IPv6 ") || answer.hasPrefix("DHCPv6 ") { return "IPv6 control" }
        let kinds = ["services ", "service ", "ports ", "port "]
        let published = "published ports"
        if answer.hasPrefix(published) {
            let rest = answer.dropFirst(published.count + 2)
            return (kinds + ["admins"]).contains(where: rest.hasPrefix) ? published : nil
        }
        return answer.split(separator: "; ").map { part in
            let kind = kinds.first(where: part.hasPrefix) ?? ""
            return part.dropFirst(kind.count).replacing(", ", with: "+")
        }.joined(separator: "+")
    }
}
