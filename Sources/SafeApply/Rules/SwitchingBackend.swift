import Host
import Netfilter

/// A change from one backend to another: the new rules of one, and the removal of the kept rules of the other.
///
/// Packets pass the rules of both, so the trial of each lifts or adds its part behind gates that open and close
/// together.
struct SwitchingBackend: RuleBackend {
    private var new: any RuleBackend
    private var old: any RuleBackend

    /// A change of backends.
    ///
    /// - Parameters:
    ///   - new: the backend with the new rules.
    ///   - old: the backend whose kept rules go.
    init(to new: any RuleBackend, from old: any RuleBackend) {
        self.new = new
        self.old = old
    }

    var gateKind: GateKind { new.gateKind == .none || old.gateKind == .none ? .none : new.gateKind }

    var gates: any GateControl { BothGates(first: new.gates, second: old.gates) }

    /// The part of a snapshot that the backend with the new rules goes back to.
    ///
    /// - Parameter snapshot: the snapshot of a change of backends.
    /// - Returns: the snapshot with the previous rules of that backend.
    static func newPart(of snapshot: Snapshot) -> Snapshot {
        guard !snapshot.newBackendRules.present.isEmpty else { return snapshot }
        var part = snapshot
        part.rules = snapshot.newBackendRules
        return part
    }

    func requireWayBack() async throws(ChangeError) {
        try await new.requireWayBack()
        try await old.requireWayBack()
    }

    func snapshot() throws(ChangeError) -> Snapshot {
        // The snapshot is of the backend that held the kept rules: restoring it brings them back.
        let (later, earlier) = (try new.snapshot(), try old.snapshot())
        var snapshot = earlier
        if snapshot.tables.isEmpty { snapshot.tables = later.tables }
        if snapshot.rules.present.isEmpty {
            snapshot.rules = later.rules
        } else {
            snapshot.newBackendRules = later.rules
        }
        if snapshot.sets.isEmpty { snapshot.sets = later.sets }
        return snapshot
    }

    mutating func loadTrial(again: Bool) async throws(ChangeError) {
        try await new.loadTrial(again: again)
        try await old.loadTrial(again: again)
    }

    func isTrialWhole() async throws(ChangeError) -> Bool {
        let isWhole = try await new.isTrialWhole()
        return try await old.isTrialWhole() && isWhole
    }

    func makePermanent() async throws(ChangeError) {
        try await new.makePermanent()
        try await old.makePermanent()
    }

    func takeBack() async throws(ChangeError) {
        try await both { (backend) throws(ChangeError) in try await backend.takeBack() }
    }

    func removeTrial() async throws(ChangeError) {
        try await both { (backend) throws(ChangeError) in try await backend.removeTrial() }
    }

    func open() async throws(ChangeError) {
        try await both { (backend) throws(ChangeError) in try await backend.open() }
    }

    /// Both, even if the first one fails.
    private func both(_ body: (any RuleBackend) async throws(ChangeError) -> Void) async throws(ChangeError) {
        var trouble: ChangeError?
        for backend in [old, new] {
            do throws(ChangeError) { try await body(backend) } catch { trouble = trouble ?? error }
        }
        if let trouble { throw trouble }
    }

    func removeLeftovers() async {
        await new.removeLeftovers()
        await old.removeLeftovers()
    }

    func otherRulesNotes() async -> [String] { await new.otherRulesNotes() }

    func rulesToSave() async -> PlannedRules { await new.rulesToSave() }
}

/// The gates of two backends.
private struct BothGates: GateControl {
    let first: any GateControl
    let second: any GateControl

    func renew() throws(HostError) {
        try first.renew()
        try second.renew()
    }

    func close() throws(HostError) {
        var trouble: HostError?
        for gates in [first, second] {
            do throws(HostError) { try gates.close() } catch { trouble = error }
        }
        if let trouble { throw trouble }
    }

    var areClosed: Bool { first.areClosed && second.areClosed }
}
