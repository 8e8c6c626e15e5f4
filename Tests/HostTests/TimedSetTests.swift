import Foundation
import Host
import TestSupport
import Testing

@Suite("Sets whose elements have a timeout", .kernel, .root, .tool("nft"), .inTurn)
struct TimedSetTests {
    private let namespace: NetworkNamespace
    private let trial = TimedSet(family: .inet, table: "latchkey", set: "trial")

    init() async throws {
        namespace = try await NetworkNamespace()
        try await load("add table inet latchkey")
        try await load("add set inet latchkey trial { type ether_type; flags timeout; }")
    }

    private func load(_ line: String) async throws {
        try await namespace.mustRun(["nft", "-f", "-"], input: Array("\(line)\n".utf8))
    }

    /// What nft shows of a set.
    private func elements(of set: String = "inet latchkey trial") async throws -> [Listing.Element] {
        let words = ["nft", "-j", "list", "set"] + set.split(separator: " ").map(String.init)
        let listing = try JSONDecoder().decode(Listing.self, from: Data(try await namespace.mustRun(words).utf8))
        return listing.nftables.compactMap(\.set).flatMap { $0.elem ?? [] }.map(\.elem).sorted { $0.val < $1.val }
    }

    private struct Listing: Decodable {
        let nftables: [Item]

        struct Item: Decodable {
            let set: Elements?
        }

        struct Elements: Decodable {
            let elem: [Wrapped]?
        }

        struct Wrapped: Decodable {
            let elem: Element
        }

        /// A kind of packet, its timeout and what is left of it, in seconds.
        struct Element: Decodable {
            let val: String
            let timeout: Int
            let expires: Int
        }
    }

    private func renew(_ sets: [TimedSet], seconds: Int = 10) async throws {
        try await namespace.onThread { try TimedSet.renew(sets, seconds: seconds) }
    }

    private func areClosed(_ sets: [TimedSet]) async throws -> Bool {
        try await namespace.onThread { TimedSet.areClosed(sets) }
    }

    private func error(_ body: () async throws -> Void) async -> HostError? {
        do {
            try await body()
            return nil
        } catch { return error as? HostError }
    }

    @Test("a renewal fills the set with both kinds of packets and their timeout")
    func renewal() async throws {
        #expect(try await areClosed([trial]))
        try await renew([trial])
        let elements = try await elements()
        #expect(elements.map(\.val) == ["ip", "ip6"])
        #expect(elements.allSatisfy { $0.timeout == 10 && (3...10).contains($0.expires) }, "\(elements)")
        #expect(try await !areClosed([trial]))
    }

    @Test("another renewal counts from its own moment, whether it is longer or shorter")
    func laterRenewals() async throws {
        try await renew([trial], seconds: 5)
        try await renew([trial], seconds: 100)
        #expect(try await elements().allSatisfy { $0.timeout == 100 && (60...100).contains($0.expires) })
        try await renew([trial], seconds: 20)
        #expect(try await elements().allSatisfy { $0.timeout == 20 && (5...20).contains($0.expires) })
        #expect(try await elements().count == 2)
    }

    @Test("the set is empty once the time has run out")
    func expiry() async throws {
        let begun = ContinuousClock.now
        try await renew([trial], seconds: 1)
        while try await !areClosed([trial]) {
            try #require(ContinuousClock.now - begun < .seconds(20), "the elements stay")
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(ContinuousClock.now - begun > .milliseconds(900))
        #expect(try await elements().isEmpty)
    }

    @Test("closing empties the set at once, and may be repeated")
    func closing() async throws {
        try await renew([trial])
        for _ in 0..<2 {
            try await namespace.onThread { [trial] in try TimedSet.close([trial]) }
            #expect(try await areClosed([trial]))
            #expect(try await elements().isEmpty)
        }
    }

    @Test("packets go to the trial while the set is filled, and only then")
    func packets() async throws {
        try await load(
            """
            add chain inet latchkey trial-input
            add rule inet latchkey trial-input drop
            add chain inet latchkey input { type filter hook input priority 0; }
            add rule inet latchkey input meta protocol @trial goto trial-input
            """)
        func passes(_ address: String) async throws -> Bool {
            try await namespace.run(["ping", "-c1", "-W1", address]).status == 0
        }
        for address in ["127.0.0.1", "::1"] { #expect(try await passes(address), "\(address) before") }
        try await renew([trial], seconds: 60)
        for address in ["127.0.0.1", "::1"] { #expect(try await !passes(address), "\(address) in the trial") }
        try await namespace.onThread { [trial] in try TimedSet.close([trial]) }
        for address in ["127.0.0.1", "::1"] { #expect(try await passes(address), "\(address) afterwards") }
    }

    // MARK: - Several sets

    @Test("sets of every family are renewed and closed together", arguments: TimedSet.TableFamily.allCases)
    func families(family: TimedSet.TableFamily) async throws {
        try await load("add table \(family) other")
        try await load("add set \(family) other gate { type ether_type; flags timeout; }")
        let sets = [trial, TimedSet(family: family, table: "other", set: "gate")]
        try await renew(sets)
        #expect(try await elements(of: "\(family) other gate").count == 2)
        #expect(try await elements().count == 2)
        try await namespace.onThread { try TimedSet.close(sets) }
        #expect(try await areClosed(sets))
    }

    @Test("if one of them is missing, no set is renewed, and the error names the missing one")
    func allOrNothing() async throws {
        let missing = TimedSet(family: .inet, table: "latchkey", set: "gone")
        for sets in [[trial, missing], [missing, trial]] {
            let error = await error { try await renew(sets) }
            #expect(error == .file(path: "set inet latchkey gone", operation: "renew it", errno: ENOENT))
            #expect(try await elements().isEmpty)
        }
        try await renew([trial], seconds: 100)
        #expect(await error { try await renew([trial, missing], seconds: 5) } != nil)
        #expect(try await elements().map(\.timeout) == [100, 100])
    }

    @Test("a missing one does not keep the others open")
    func closingBesideMissing() async throws {
        try await renew([trial])
        let missing = TimedSet(family: .ip, table: "gone", set: "trial")
        try await namespace.onThread { [trial] in try TimedSet.close([missing, trial]) }
        #expect(try await elements().isEmpty)
        #expect(try await areClosed([missing, trial]))
    }

    // MARK: - What is not there, or not allowed

    @Test(
        "a missing table or set cannot be renewed, and counts as closed",
        arguments: [("gone", "trial"), ("latchkey", "gone")])
    func missing(table: String, set: String) async throws {
        let gone = TimedSet(family: .inet, table: table, set: set)
        let error = await error { try await renew([gone]) }
        #expect(error == .file(path: "set inet \(table) \(set)", operation: "renew it", errno: ENOENT))
        #expect(try await areClosed([gone]))
        try await namespace.onThread { try TimedSet.close([gone]) }
    }

    @Test("an element without a timeout keeps the set open until it is closed")
    func permanent() async throws {
        try await load("add element inet latchkey trial { ip }")
        #expect(try await !areClosed([trial]))
        try await namespace.onThread { [trial] in try TimedSet.close([trial]) }
        #expect(try await areClosed([trial]))
    }

    @Test(
        "a set that takes no timeout or no kind of packet is refused",
        arguments: ["ether_type", "ipv4_addr; flags timeout"])
    func unsuited(type: String) async throws {
        try await load("add set inet latchkey other { type \(type); }")
        let other = TimedSet(family: .inet, table: "latchkey", set: "other")
        #expect(await error { try await renew([trial, other]) } != nil)
        #expect(try await areClosed([trial, other]))
    }

    @Test("renewals from several threads at once leave the set filled")
    func threads() async throws {
        let trial = trial
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await namespace.onThread {
                        for _ in 0..<10 { try TimedSet.renew([trial], seconds: 10) }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await elements().count == 2)
    }
}
