import Netfilter
import Policy

// Which rule decided about a packet: by the counters, and by the kernel's trace where they do not tell.
extension Rehearsal {
    /// The trace, if rules decide in the stage that the counters do not show.
    func hiddenDeciders() async -> KernelTrace? {
        await kernelTrace?.ifNeeded(beside: counters)
    }

    /// The two families side by side, if their counters do not touch each other.
    ///
    /// - Parameters:
    ///   - batches: packets that are likely to be decided by one rule each.
    ///   - seen: what became of them.
    ///   - traced: what the trace has already shown of those that were dropped.
    ///   - kernelTrace: the trace, if the counters do not show all rules.
    /// - Returns: what decided about each packet, as far as it shows.
    /// - Throws: `StageError` and `HostError` if the stage or a tool in it fails.
    func decide(
        _ batches: [[Expectation]], _ seen: [Expectation: Bool],
        _ traced: [Expectation: CounterDifference.Decision], _ kernelTrace: KernelTrace?
    ) async throws -> [Expectation: CounterDifference.Decision] {
        try await withThrowingTaskGroup(of: [Expectation: CounterDifference.Decision].self) { group in
            var found: [Expectation: CounterDifference.Decision] = [:]
            for family in counters.families {
                let own = batches.filter { $0.first?.family == family }
                guard !own.isEmpty else { continue }
                group.addTask {
                    var found: [Expectation: CounterDifference.Decision] = [:]
                    var hidden: [Expectation] = []
                    if let kernelTrace { found = await taken(own.flatMap(\.self), seen, by: kernelTrace) }
                    let open = own.map { batch in batch.filter { found[$0] == nil } }.filter { !$0.isEmpty }
                    var last = try await counters.read(family)
                    for batch in open {
                        let isThrough = batch.first.flatMap { seen[$0] } ?? false
                        if kernelTrace != nil, !isThrough {
                            // Many at once are traced as quickly as a few.
                            if try await !decide(batch[...], isThrough: false, &last, &found) { hidden += batch }
                        } else {
                            try await halve(batch[...], isThrough: isThrough, &last, &found)
                        }
                    }
                    guard let kernelTrace, !hidden.isEmpty else { return found }
                    found.merge(traced.filter { hidden.contains($0.key) }) { counted, _ in counted }
                    let more = await drops(hidden.filter { found[$0] == nil }, by: kernelTrace)
                    found.merge(more) { counted, _ in counted }
                    last = try await counters.read(family)
                    try await halve(hidden.filter { found[$0] == nil }[...], isThrough: false, &last, &found)
                    return found
                }
                if counters.isShared { found.merge(try await group.next() ?? [:]) { first, _ in first } }
            }
            return try await group.reduce(into: found) { $0.merge($1) { first, _ in first } }
        }
    }

    /// Sends a batch again between two readings of the counters.
    ///
    /// - Returns: whether one rule decided about all of it, or there was nothing to decide.
    private func decide(
        _ batch: ArraySlice<Expectation>, isThrough: Bool, _ last: inout CountedRules,
        _ found: inout [Expectation: CounterDifference.Decision]
    ) async throws -> Bool {
        guard let first = batch.first else { return true }
        let before = last
        _ = try await attempt(Array(batch), patience: patience)
        last = try await counters.read(first.family)
        let counted = CounterDifference(from: before, to: last)
        let decision = counted.decision(of: batch.count, isAccepted: isThrough, icmpv6: first.icmpv6)
        if let decision { for expectation in batch { found[expectation] = decision } }
        return decision != nil
    }

    /// Sends a batch again, and halves it as long as several rules decide.
    private func halve(
        _ batch: ArraySlice<Expectation>, isThrough: Bool, _ last: inout CountedRules,
        _ found: inout [Expectation: CounterDifference.Decision]
    ) async throws {
        let isDecided = try await decide(batch, isThrough: isThrough, &last, &found)
        guard !isDecided, batch.count > 1 else { return }
        let middle = batch.startIndex + batch.count / 2
        try await halve(batch[..<middle], isThrough: isThrough, &last, &found)
        try await halve(batch[middle...], isThrough: isThrough, &last, &found)
    }

    /// The rules that take packets out of the kernel's way, and answer them although no rule accepts them: the counters
    /// show only what follows.
    private func taken(
        _ expectations: [Expectation], _ seen: [Expectation: Bool], by kernelTrace: KernelTrace
    ) async -> [Expectation: CounterDifference.Decision] {
        let opened = expectations.filter { seen[$0] == true && !$0.isAccepted }
        guard !opened.isEmpty else { return [:] }
        return await trace(opened, areDropped: false, by: kernelTrace).compactMapValues { path in
            path.isTaken ? path.decision : nil
        }
    }

    /// What the kernel's trace shows to drop packets that got no answer.
    func drops(
        _ expectations: [Expectation], by kernelTrace: KernelTrace
    ) async -> [Expectation: CounterDifference.Decision] {
        var drops: [Expectation: CounterDifference.Decision] = [:]
        for family in counters.families {
            let own = expectations.filter { $0.family == family }
            guard !own.isEmpty else { continue }
            for (expectation, path) in await trace(own, areDropped: true, by: kernelTrace) {
                if let decision = path.decision, !decision.isAccepted { drops[expectation] = decision }
            }
        }
        return drops
    }

    /// Sends packets again while the kernel traces them.
    ///
    /// - Parameters:
    ///   - expectations: the packets, of one family.
    ///   - areDropped: whether it is known that they are dropped.
    ///   - kernelTrace: traces them.
    /// - Returns: the path of each packet that was seen.
    func trace(
        _ expectations: [Expectation], areDropped: Bool, by kernelTrace: KernelTrace
    ) async -> [Expectation: KernelPath] {
        var paths: [Expectation: KernelPath] = [:]
        let isSeen = { (path: KernelPath?) in path.map { !areDropped || $0.decision?.isAccepted == false } ?? false }
        // The kernel drops reports that nobody reads in time: those are tried again, a few at once. What is missing
        // although no report was lost is tried only once more.
        var lossless = 0
        for round in Self.tracedAtOnce.indices where lossless < 2 && !(round > 0 && kernelTrace.isExhausted) {
            let width = Self.tracedAtOnce[round - lossless]
            let missing = expectations.filter { !isSeen(paths[$0]) }
            guard !missing.isEmpty else { break }
            var isWhole = true
            for begin in stride(from: 0, to: missing.count, by: width) {
                let some = Array(missing[begin..<min(begin + width, missing.count)])
                let report = await kernelTrace.follow(some.first?.family ?? .ipv4) { packets in
                    some.allSatisfy { expectation in
                        isSeen(packets.first { $0.belongs(to: expectation) }?.path)
                    }
                } _: {
                    _ = try? await attempt(some, patience: patience)
                }
                isWhole = isWhole && report.isWhole
                for expectation in some {
                    let packet = report.packets.first { $0.belongs(to: expectation) }
                    paths[expectation] = packet?.path ?? paths[expectation]
                }
            }
            if isWhole { lossless += 1 }
        }
        return paths
    }

    /// How many packets are traced at once, in the first attempt and in further ones.
    private static let tracedAtOnce = [32, 8, 2]

    /// Sends what nothing answers, and reads from the counters what became of it.
    func decideUnseen(
        _ expectations: [Expectation], _ kernelTrace: KernelTrace?
    ) async throws -> [Expectation: CounterDifference.Decision] {
        var decisions: [Expectation: CounterDifference.Decision] = [:]
        for expectation in expectations {
            try await beginFlow(of: expectation)
            let before = try await counters.read(expectation.family)
            _ = try await attempt([expectation], patience: patience)
            let after = try await counters.read(expectation.family)
            decisions[expectation] = CounterDifference(from: before, to: after).decision(
                of: 1, isAccepted: nil, icmpv6: expectation.icmpv6)
        }
        guard let kernelTrace else { return decisions }
        // What one table accepts, another one may still drop.
        for family in counters.families {
            let open = expectations.filter { $0.family == family && decisions[$0]?.isAccepted != false }
            for expectation in open { try await beginFlow(of: expectation) }
            for (expectation, path) in await trace(open, areDropped: false, by: kernelTrace) {
                guard let decision = path.decision else { continue }
                if !decision.isAccepted || decisions[expectation] == nil { decisions[expectation] = decision }
            }
        }
        return decisions
    }

    /// Sends the packet from the server that an error message is about.
    private func beginFlow(of expectation: Expectation) async throws(StageError) {
        guard expectation.packet == .packetTooBig else { return }
        let flow = Probe(
            .udp, from: expectation.source, to: expectation.target, port: 53, sourcePort: Expectation.flowPort)
        _ = try await stage.probe([flow], from: .server, patience: patience)
    }
}
