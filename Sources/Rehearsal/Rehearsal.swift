import Host
import Netfilter
import Policy

/// Tests a plan's expectations on a stage with real packets.
///
/// The first round runs without rules: a packet that does not arrive then cannot test the rules later. The second round
/// runs after the caller has loaded the rules, and the kernel's counters show which rule decided.
package struct Rehearsal: Sendable {
    let stage: Stage
    let counters: any CounterSource
    /// The kernel's own trace, for packets that the counters say nothing about; nil without nft.
    let kernelTrace: KernelTrace?
    /// How long to wait for all packets of one batch without an answer; inside one kernel an answer takes well under a
    /// millisecond.
    let patience: Duration

    /// A rehearsal on a stage.
    ///
    /// - Parameters:
    ///   - stage: the server, without rules, and the outside with every address that the expectations name.
    ///   - counters: reads the rules inside the stage; its families are tested.
    ///   - kernelTrace: the kernel's own trace inside the stage, if nft is installed.
    ///   - patience: how long the silent packets of one batch are waited for, together.
    package init(
        on stage: Stage, counters: any CounterSource, kernelTrace: KernelTrace? = nil,
        patience: Duration = .milliseconds(100)
    ) {
        self.stage = stage
        self.counters = counters
        self.kernelTrace = kernelTrace
        self.patience = patience
    }

    /// A rehearsal of iptables' rules alone.
    ///
    /// - Parameters:
    ///   - stage: the server, without rules, and the outside with every address that the expectations name.
    ///   - tools: the families that are tested, with the commands of one backend, run inside the stage.
    package init(on stage: Stage, tools: [Family: IPTables]) {
        self.init(on: stage, counters: IPTablesCounters(tools))
    }

    // MARK: - Before the rules

    /// Listens on all ports of the expectations, on both sides.
    package func listen(for expectations: [Expectation]) async throws(StageError) {
        let inward = expectations.filter { $0.direction == .in }
        try await listen(in: .server, for: inward.filter { $0.container == nil })
        try await listenInContainers(inward.compactMap(\.container), inward)
        try await listen(in: .outside, for: expectations.filter { $0.direction == .out })
    }

    private func listen(in place: Stage.Place, for expectations: [Expectation]) async throws(StageError) {
        var tcp: Set<UInt16> = []
        var udp: Set<UInt16> = []
        for expectation in expectations {
            switch expectation.packet {
            case .tcp(let port), .established(let port): tcp.insert(port)
            case .udp(let port): udp.insert(port)
            case .several(let spec, _), .oneMore(let spec, _):
                if spec.transport == .tcp { tcp.insert(spec.range.lower) } else { udp.insert(spec.range.lower) }
            case .packetTooBig: udp.insert(53)
            case .ping, .strayError, .relatedError, .neighbour, .message: break
            }
        }
        let addresses = Set(expectations.map(\.target)).sorted()
        guard !addresses.isEmpty else { return }
        try await stage.listen(in: place, tcp: tcp.sorted(), udp: udp.sorted(), on: addresses)
    }

    /// Listens on the containers' own ports, where the published ports lead to.
    private func listenInContainers(
        _ endpoints: [ContainerEndpoint], _ expectations: [Expectation]
    ) async throws(StageError) {
        for (address, own) in Dictionary(grouping: endpoints, by: \.address).sorted(by: { $0.key < $1.key }) {
            let wanted = expectations.filter { $0.container.map(own.contains) ?? false }
            let ports = { (name: String) in
                Set(wanted.filter { $0.packet.protocolName == name }.compactMap(\.container?.port)).sorted()
            }
            try await stage.listen(in: .containers, tcp: ports("tcp"), udp: ports("udp"), on: [address])
        }
    }

    /// The control round without rules; a container is then reached at its own address.
    ///
    /// - Returns: for every expectation whose packet does not arrive, what happened instead.
    package func control(_ expectations: [Expectation]) async throws(StageError) -> [Expectation: String] {
        var failures: [Expectation: String] = [:]
        let plain = expectations.filter { !$0.isEstablished }
        for patience in [patience, Self.longPatience] {
            let open = patience == self.patience ? plain : plain.filter { failures[$0] != nil }
            for (expectation, result) in try await attempt(open, patience: patience, by: \.directProbe) {
                let isThrough = expectation.isThrough(result.outcome) ?? (result.outcome == .sent)
                failures[expectation] = isThrough ? nil : Self.text(result)
            }
        }
        return failures
    }

    /// Opens the connections that should be older than the rules; the kernel must already track connections.
    ///
    /// - Returns: for every expectation that could not be prepared, what happened instead.
    package func connect(_ expectations: [Expectation]) async throws(StageError) -> [Expectation: String] {
        let wanted = expectations.filter(\.isEstablished)
        guard !wanted.isEmpty else { return [:] }
        let probes = wanted.map { expectation in
            var probe = expectation.probe
            probe.kind = .tcp
            return probe
        }
        var failures: [Expectation: String] = [:]
        for (expectation, result) in zip(wanted, try await stage.hold(probes, from: .outside))
        where !result.isAccepted {
            failures[expectation] = Self.text(result)
        }
        return failures
    }

    private static func text(_ result: ProbeResult) -> String {
        "without rules: \(result.outcome.rawValue)" + (result.detail.map { ", \($0)" } ?? "")
    }

    // MARK: - Under the rules

    /// The packets whose deciding rule is looked for.
    package enum Deciding: Sendable {
        /// All of them.
        case all
        /// Those that differ from what was promised.
        case mistakes
        /// Only those that only a rule's counter shows.
        case onlyUnseen
    }

    /// Tests all expectations under the active rules of the stage.
    ///
    /// - Parameters:
    ///   - expectations: the expectations.
    ///   - untested: those that the control round excluded.
    ///   - deciding: the packets whose deciding rule is looked for.
    /// - Returns: a verdict for every expectation, in order.
    /// - Throws: `StageError` and `HostError` if the stage or a tool in it fails.
    package func verdicts(
        _ expectations: [Expectation], untested: [Expectation: String], deciding: Deciding = .all
    ) async throws -> [Verdict] {
        // Only where other tables decide too, the counters alone do not tell.
        let kernelTrace = await hiddenDeciders()
        var seen: [Expectation: Bool] = [:]
        var decisions: [Expectation: CounterDifference.Decision] = [:]
        let possible = expectations.filter { untested[$0] == nil && counters.families.contains($0.family) }
        try await burst(possible.filter(\.isBurst), &seen)
        let testable = possible.filter { !$0.isBurst }
        let visible = testable.filter { $0.isThrough(.silent) != nil }

        // The open ones answer at once; all the closed ones share one wait, and their drops are counted.
        var traced: [Expectation: CounterDifference.Decision] = [:]
        try await look(visible.filter(\.isAccepted), &seen, &traced, kernelTrace)
        let closed = visible.filter { !$0.isAccepted }
        var open: [[Expectation]] = []
        for families in counters.isShared ? counters.families.map({ [$0] }) : [counters.families] {
            open += try await lookAtClosed(
                closed.filter { families.contains($0.family) }, families, decidesAll: deciding == .all, &seen,
                &decisions)
        }
        let rest = (deciding == .onlyUnseen ? [] : visible).filter { expectation in
            let isAsPromised = seen[expectation] == expectation.isAccepted
            // Sent again, it would use up what its limit allows.
            if expectation.limit != nil { return false }
            if !isAsPromised, !expectation.isAccepted { return expectation.sourcePort == nil }
            return !isAsPromised || (deciding == .all && expectation.isAccepted)
        }
        open += batches(rest, seen)
        for (expectation, decision) in try await decide(open.filter { !$0.isEmpty }, seen, traced, kernelTrace) {
            decisions[expectation] = decision
        }
        for (expectation, decision) in try await decideUnseen(
            testable.filter { $0.isThrough(.silent) == nil }, kernelTrace)
        {
            decisions[expectation] = decision
            seen[expectation] = decision.isAccepted
        }
        return expectations.map { expectation in
            if let reason = untested[expectation] { return Verdict(expectation, .untested(reason)) }
            guard let isThrough = seen[expectation] else {
                return Verdict(expectation, .untested("no rule or policy counted it"))
            }
            return Verdict(expectation, isThrough ? .accepted : .dropped, decision: decisions[expectation])
        }
    }

    /// Sends as many packets at once as a limit allows, and one more.
    private func burst(_ expectations: [Expectation], _ seen: inout [Expectation: Bool]) async throws(StageError) {
        for expectation in expectations {
            guard case .several(let spec, let count) = expectation.packet else { continue }
            let more = expectations.first {
                $0.source == expectation.source && $0.packet == .oneMore(spec, count)
            }
            let probes = Array(repeating: expectation.probe, count: count + (more == nil ? 0 : 1))
            let accepted = try await stage.probe(probes, from: .outside, patience: .milliseconds(250)).count {
                $0.isAccepted
            }
            seen[expectation] = accepted >= count
            if let more { seen[more] = accepted > count }
        }
    }

    /// How long to wait before a packet that should be accepted is reported as lost: on a busy machine even the
    /// shortest path can take long.
    private static let longPatience: Duration = .seconds(2)

    /// Tests packets that should be accepted; those without an answer are tested again, with more time, unless the
    /// kernel's trace shows that they are dropped.
    private func look(
        _ promised: [Expectation], _ seen: inout [Expectation: Bool],
        _ traced: inout [Expectation: CounterDifference.Decision], _ kernelTrace: KernelTrace?
    ) async throws(StageError) {
        for (expectation, result) in try await attempt(promised, patience: patience) {
            seen[expectation] = expectation.isThrough(result.outcome)
        }
        var late = promised.filter { seen[$0] != true }
        if let kernelTrace {
            traced = await drops(late, by: kernelTrace)
            late.removeAll { traced[$0] != nil }
        }
        for (expectation, result) in try await attempt(late, patience: Self.longPatience) {
            seen[expectation] = expectation.isThrough(result.outcome)
        }
    }

    /// Tries what is promised to be closed, of families whose counters do not touch each other.
    ///
    /// - Returns: batches of packets that were dropped, but not all by one rule.
    private func lookAtClosed(
        _ closed: [Expectation], _ families: [Family], decidesAll: Bool, _ seen: inout [Expectation: Bool],
        _ decisions: inout [Expectation: CounterDifference.Decision]
    ) async throws -> [[Expectation]] {
        let before = try await read(families)
        for (expectation, result) in try await attempt(closed, patience: patience) {
            seen[expectation] = expectation.isThrough(result.outcome)
        }
        let after = try await read(families)
        var open: [[Expectation]] = []
        for expectation in closed where seen[expectation] == true && expectation.sourcePort != nil {
            // Sent again from the same port it would belong to a conversation that is known by now.
            guard let from = before[expectation.family], let to = after[expectation.family] else { continue }
            decisions[expectation] = CounterDifference(from: from, to: to).decision(of: 1, isAccepted: true)
        }
        for family in families {
            let silent = closed.filter { $0.family == family && seen[$0] == false }
            let counted = before[family].flatMap { from in
                after[family].map { CounterDifference(from: from, to: $0) }
            }
            if let decision = counted?.decision(of: silent.count, isAccepted: false) {
                for expectation in silent { decisions[expectation] = decision }
                continue
            }
            if (counted?.dropped ?? 0) < silent.count {
                // Not all of them were counted as dropped: an answer may still be on its way.
                for (expectation, result) in try await attempt(
                    silent.filter { $0.sourcePort == nil }, patience: Self.longPatience)
                {
                    seen[expectation] = expectation.isThrough(result.outcome)
                }
            }
            guard decidesAll else { continue }
            let dropped = silent.filter { seen[$0] == false }
            open += Dictionary(grouping: dropped, by: \.packet.protocolName).values
        }
        return open
    }

    /// The packets in batches that are likely to be decided by one rule each.
    private func batches(_ rest: [Expectation], _ seen: [Expectation: Bool]) -> [[Expectation]] {
        // latchkey's table looks up what is open to everyone ahead of the admins; iptables' rules have them first.
        let openToAll =
            counters.isShared
            ? Set(rest.filter { $0.role == .stranger && $0.isAccepted }.map { Destination($0) }) : []
        let bySource = Dictionary(grouping: rest) { expectation in
            Batch(
                expectation, isThrough: seen[expectation] ?? false,
                isOpenToAll: openToAll.contains(Destination(expectation)))
        }
        // Of a long list, the rules look up all addresses in one set.
        return Dictionary(grouping: bySource, by: \.key.ofAnySource).flatMap { _, batches in
            batches.count > Self.setThreshold ? [batches.flatMap(\.value)] : batches.map(\.value)
        }
    }

    /// What a packet is for, whatever its source.
    private struct Destination: Hashable {
        let family: Family
        let packet: Expectation.Packet

        init(_ expectation: Expectation) {
            family = expectation.family
            packet = expectation.packet
        }
    }

    /// How many sources are likely to have a rule each.
    private static let setThreshold = 8

    /// What is likely to be decided by one rule.
    private struct Batch: Hashable {
        let family: Family
        let role: Expectation.Role
        var source: IPAddress?
        let direction: Expectation.Direction
        let kind: String
        let isThrough: Bool

        init(_ expectation: Expectation, isThrough: Bool, isOpenToAll: Bool) {
            family = expectation.family
            role = expectation.role
            source = expectation.source
            direction = expectation.direction
            self.isThrough = isThrough
            // One rule accepts everything from the admins that is not open to all, and everything from the server
            // itself. For the others, the answers indicate which rule decides; a wrong guess only costs more halving.
            kind =
                if expectation.packet == .neighbour {
                    "neighbours"
                } else if expectation.role == .stranger {
                    "\(expectation.packet.protocolName) \(Self.group(expectation.answer))"
                } else {
                    isOpenToAll ? "open to all" : ""
                }
        }

        /// The same for packets from other sources.
        var ofAnySource: Batch {
            var batch = self
            batch.source = nil
            return batch
        }

        private static func group(_ answer: Permission.Answer?) -> String {
            switch answer {
            case .service, .ports: "services"
            case let answer?: answer.title
            case nil: ""
            }
        }
    }

    // MARK: - Helpers

    /// Sends everything at once, from all places.
    func attempt(
        _ expectations: [Expectation], patience: Duration, by probe: (Expectation) -> Probe = \.probe
    ) async throws(StageError) -> [Expectation: ProbeResult] {
        var results: [Expectation: ProbeResult] = [:]
        for place in stage.places {
            let here = expectations.filter { $0.place == place }
            guard !here.isEmpty else { continue }
            let answers = try await stage.probe(here.map(probe), from: place, patience: patience)
            for (expectation, answer) in zip(here, answers) { results[expectation] = answer }
        }
        return results
    }

    private func read(_ families: [Family]) async throws -> [Family: CountedRules] {
        try await withThrowingTaskGroup(of: (Family, CountedRules).self) { group in
            for family in families { group.addTask { (family, try await counters.read(family)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }
}

extension Expectation {
    /// Whether it tests a connection that is older than the rules.
    fileprivate var isEstablished: Bool {
        if case .established = packet { true } else { false }
    }
}
