import Foundation
import Host
import Netfilter
import TestSupport
import Testing

@testable import SafeApply

@Suite("What a restore brings back")
struct RestorationTests {
    private static func set(_ text: String) throws -> RuleSet { try RuleSet(parsing: text, file: "test") }

    private static func snapshot(_ ipv4: String, kept: KeptRules? = nil) -> Snapshot {
        Snapshot(
            meta: Snapshot.Meta(
                id: "1", date: 0, bootID: "", backend: .nft, version: "", requester: Requester(user: "", address: nil),
                sha256: [:]),
            rules: PerFamily(ipv4: ipv4), sets: "", tables: "", saved: SavedState(files: [], kept: kept))
    }

    private static let filter = """
        *filter
        :INPUT DROP [1:2]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        :f2b - [0:0]
        [3:4] -A INPUT -p tcp -m tcp --dport 22 -j f2b
        [5:6] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
        COMMIT

        """

    @Test("a table that was added later is emptied; one that iptables could not print then is left alone")
    func tables() throws {
        let later = "*nat\n:PREROUTING DROP [0:0]\n:MINE - [0:0]\n-A MINE -j RETURN\nCOMMIT\n*raw\nCOMMIT\n"
        let note = "# Table `raw' is incompatible, use 'nft' tool.\n"
        let live = PerFamily(ipv4: try Self.set(Self.filter + later), ipv6: try Self.set(later))
        let snapshot = Self.snapshot(Self.filter + note)
        let rules = try Restoration.rules(of: snapshot, live: live)
        let set = try Self.set(rules.ipv4 ?? "")
        #expect(set.tables.map(\.name) == ["filter", "nat"])
        #expect(set["filter"] == (try Self.set(Self.filter))["filter"], "with its counters")
        #expect(set["nat"]?.rules.isEmpty == true)
        #expect(set["nat"]?.chains.allSatisfy { $0.policy == .accept } == true)
        #expect(rules.ipv6 == nil, "a family that the snapshot does not know stays as it is")
        #expect(try Restored(snapshot, live: live, liveSets: "").emptied == PerFamily(ipv4: ["nat"]))
    }

    @Test("an existing set keeps its entries; a missing one comes back complete")
    func sets() {
        let then = "create a hash:ip\nadd a 192.0.2.1\ncreate b list:set\nadd b a\n"
        #expect(Restoration.missingSets(then, live: "") == then)
        #expect(Restoration.missingSets(then, live: "create a hash:ip\n") == "create b list:set\nadd b a\n")
        #expect(Restoration.missingSets(then, live: then).isEmpty)
        #expect(Restoration.names(then) == ["a", "b"])
    }

    @Test("the rules recorded as kept have not drifted, and drift when INPUT is changed")
    func record() throws {
        let live = try Self.set(Self.filter)
        let restored = try Restored(Self.snapshot(Self.filter), live: PerFamily(), liveSets: "")
        let request = ChangeRequest(
            id: "2", scope: .tables, rules: PerFamily(ipv4: Self.filter), backend: .nft,
            deadlineSeconds: 60, requester: Requester(user: "ada", address: nil), sshPorts: [22], admins: [],
            answers: nil, persists: true, restores: restored)
        let record = restored.record(request, PlannedRules(rules: PerFamily(ipv4: live)))
        let kept = try Self.set(record.rules.ipv4 ?? "")
        #expect(record.id == "2" && kept.tables.allSatisfy(\.isInputAlone))
        #expect(!RuleEdits.hasDrifted(live: live, from: kept))
        let ban = Self.filter.replacing("COMMIT", with: "[0:0] -A f2b -s 192.0.2.1/32 -j DROP\nCOMMIT")
        #expect(!RuleEdits.hasDrifted(live: try Self.set(ban), from: kept))
        let open = Self.filter.replacing(":INPUT DROP", with: ":INPUT ACCEPT")
        #expect(RuleEdits.hasDrifted(live: try Self.set(open), from: kept))
    }

    @Test("files come back with text and mode, links as links, and files that did not exist are removed")
    func files() throws {
        let folder = try TemporaryFolder()
        let layout = Layout(root: folder.path)
        try folder.write("then", to: "etc/iptables/rules.v4", mode: 0o640)
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/etc/iptables/rules.v6", withDestinationPath: "nowhere")
        let then = StateFile.all(in: layout)
        #expect(then.map(\.path) == StateFile.paths)

        try FileManager.default.removeItem(atPath: folder.path + "/etc/iptables/rules.v4")
        try FileManager.default.removeItem(atPath: folder.path + "/etc/iptables/rules.v6")
        try folder.write("elsewhere", to: "elsewhere")
        // A link in its place is replaced, not followed.
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/etc/iptables/rules.v4", withDestinationPath: folder.path + "/elsewhere")
        try folder.write("now", to: "etc/iptables/rules.v6")
        try folder.write("now", to: "etc/latchkey/answers.yaml")
        let changed = try then.filter { try $0.putBack(in: layout) }
        #expect(changed.map(\.path) == Array(StateFile.paths[...2]))
        #expect(StateFile.all(in: layout) == then)
        #expect(try folder.read("elsewhere") == "elsewhere")
        #expect(try then.filter { try $0.putBack(in: layout) }.isEmpty, "the second run changes nothing")
    }
}
