import Foundation
import TestSupport
import Testing

/// Long lists of addresses with the backend nftables: sets whose elements are read only where they may have changed.
@Suite("Long lists with the backend nftables", .kernel, .inTurn)
struct TableSetTests {
    private func apply(_ addresses: Int, _ machine: Machine, _ more: String...) async throws {
        let lines = (0..<addresses).map { "10.7.\($0 / 100).\($0 % 100 * 2)\n" }.joined()
        try machine.root.write(lines, to: "admins.txt")
        let file = try machine.root.write("version: 1\nadmins: [{ file: admins.txt }]\n", to: "sets.yaml")
        let words = ["apply", "--answers", file, "--backend", "nftables", "--detach", "--deadline", "5m"]
        let finished = try await Latchkey.run(
            words + more, root: machine.root, in: machine.namespace, timeout: .seconds(90))
        #expect(finished.status == 0, "\(finished.errors)")
    }

    /// The name of the set with so many elements, and its elements.
    private func set(_ machine: Machine, of count: Int) async throws -> (name: String, elements: Set<Substring>) {
        let listing = try await machine.listing()
        for part in listing.split(separator: "\tset ").dropFirst() {
            let elements = part.matches(of: #/\d+\.\d+\.\d+\.\d+/#).map(\.output)
            if elements.count == count { return (String(part.prefix { $0 != " " }), Set(elements)) }
        }
        Issue.record("no set has \(count) elements:\n\(listing)")
        return ("", [])
    }

    @Test("a set that another program changed in the window is noticed, loaded again, and needs a new login")
    func changedInTheWindow() async throws {
        try await Machine.with(.nft) { machine in
            try await apply(300, machine, "--no-rehearsal")
            let whole = try await set(machine, of: 300)
            #expect(try await machine.status().truth("drift") == false)
            try await machine.nft("delete element inet latchkey \(whole.name) { 10.7.1.18 }")
            #expect(try await machine.status().truth("drift") == true)
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 7)
            #expect(try await set(machine, of: 300) == whole)
            #expect(try await machine.status().truth("drift") == false)
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            #expect(try await set(machine, of: 300) == whole)
        }
    }

    @Test("a kept set is saved whole for boot and in snapshots, and each change to it is drift")
    func kept() async throws {
        try await Machine.with(.nft) { machine in
            try await apply(300, machine)
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            let kept = try await machine.listing()
            let first = try await set(machine, of: 300)
            let elsewhere = try await NetworkNamespace()
            defer { elsewhere.close() }
            try await elsewhere.mustRun(["nft", "-f", "\(machine.root.path)/var/lib/latchkey/restore/nftables.rules"])
            #expect(try await elsewhere.mustRun(["nft", "-s", "list", "ruleset"]) == kept)

            try await apply(301, machine, "--no-rehearsal")
            #expect(try await set(machine, of: 301).name != first.name)
            #expect(try await set(machine, of: 300) == first, "the previous set stays while the change is pending")
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await machine.listing() == kept)

            try await machine.nft("add element inet latchkey \(first.name) { 10.99.0.1 }")
            #expect(try await machine.status().truth("drift") == true)
            // The changed set has the name of the wanted one: it is replaced.
            try await apply(300, machine, "--no-rehearsal")
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            #expect(try await machine.listing() == kept)
            #expect(try await machine.status().truth("drift") == false)

            let id = try #require(try await machine.status().text("snapshot"))
            #expect(
                try await machine.latchkey("snapshots", "restore", id, "--no-rehearsal", "--detach").status == 0)
            #expect(try await machine.latchkey("confirm", "--same-connection").status == 0)
            #expect(try await set(machine, of: 301).elements == first.elements.union(["10.99.0.1"]))
        }
    }
}
