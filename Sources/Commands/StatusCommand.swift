import ArgumentParser
import Host
import Netfilter
import Rehearsal
import SafeApply

/// `latchkey status`: what is active, what is pending, whether the live rules have drifted.
struct StatusCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what is active and what is pending.")

    @Flag(help: "List all changes: when, by whom, from where, and the outcome.") var history = false
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("status")
        let changeRunner = ChangeRunner(in: context)
        do {
            if history {
                try await printHistory(changeRunner, in: context)
                return .done
            }
            let status = try await changeRunner.client.current()
            let kept = try Persistence(changeRunner.environment).lastKept()
            let used: Backend
            if let known = status?.backend ?? kept?.backend {
                used = known
            } else {
                used = try await changeRunner.backend(backend)
            }
            var shown = StatusReport(status, kept: kept, backend: used)
            var trouble: ChangeError?
            var counters: AnswerCounters?
            do {
                if shown.state != .pending, let kept {
                    (shown.drift, counters) = try await compare(kept, in: changeRunner.environment)
                    shown.counters = counters?.reported
                } else if status?.state == .applied {
                    shown.drift = try await !changeRunner.client.isTrialWhole()
                }
            } catch {
                // Rules that cannot be read cannot be the rules that were kept.
                guard case .unreadable = error else { throw error }
                shown.drift = true
                trouble = error
            }
            let entries = await TemporaryRunner.list(used, in: changeRunner.environment)
            let observation = Observation(changeRunner.environment)
            let observed = observation.current()
            let observedDrops = await observation.dropped()
            shown.observing = observed != nil && observedDrops != nil
            shown.temporary = entries.map(TemporaryReport.init)
            let flushed = await TemporaryRunner.trouble(entries, used, in: changeRunner.environment)
            let reason = if let status { status.words } else { try await interruption(changeRunner) }
            try context.console.result(
                report.json
                    ? shown.json()
                    : shown.text(
                        reason: reason, trouble: trouble, flushed: flushed,
                        boot: Self.boot(used, status, in: changeRunner.environment))
                        + (counters?.text ?? "")
                        + (observed.map {
                            Wrapping.text(ObservationRunner.sentence($0, dropped: observedDrops))
                        } ?? ""))
            return .done
        } catch let error as ChangeError { throw Failure(error) }
    }

    /// A sentence about the last change if a reboot interrupted it; nil if it was completed.
    private func interruption(_ changeRunner: ChangeRunner) async throws(ChangeError) -> String? {
        guard let last = try await changeRunner.history().last, last.outcome == .interrupted else { return nil }
        return
            "A reboot interrupted the change \(last.change). The machine booted with the previous rules."
    }

    private func printHistory(_ changeRunner: ChangeRunner, in context: CommandContext) async throws {
        let changes = try await changeRunner.history()
        if report.json {
            try context.console.result(changes.json())
        } else if changes.isEmpty {
            context.console.say("latchkey has made no changes yet.\n")
        } else {
            try context.console.result(changes.map(\.text).joined())
        }
    }

    /// What happens to the kept rules at boot, in a sentence; nil if the outcome says that they are not saved.
    private static func boot(
        _ backend: Backend, _ status: ChangeStatus?, in environment: ChangeEnvironment
    ) -> String? {
        if let status, status.outcome == .kept, status.persisted.isEmpty { return nil }
        guard let loader = BootLoader(backend, in: environment) else {
            return "Nothing here loads rules at boot: the kept rules are active until reboot."
        }
        let missing = loader.missingFiles(in: environment)
        guard !missing.isEmpty else { return "At boot, \(loader.name) loads the kept rules." }
        return "At boot, \(loader.name) cannot load all kept rules. Missing or empty: "
            + "\(missing.joined(separator: ", ")). Apply the answers again and keep them."
    }

    /// Whether the live rules have drifted from the kept ones, and their counters if they can be read.
    private func compare(
        _ kept: KeptRules, in environment: ChangeEnvironment
    ) async throws(ChangeError) -> (hasDrifted: Bool, counters: AnswerCounters?) {
        if kept.backend == .nftables {
            async let counters = AnswerCounters(tableIn: environment)
            let tables = kept.nftTables
            let live = try await LiveTables(toolbox: environment.toolbox, runner: environment.runner)
                .read(tables.map(\.id)).map(\.withoutTrial.withoutTemporary)
            return (!NFTable.areSame(tables, live), await counters)
        }
        let live = try await LiveRules(
            backend: kept.backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner)
        var read: [RuleSet] = []
        var hasDrifted = false
        for (family, text) in kept.rules.present where environment.families.contains(family) {
            let rules: RuleSet
            do { rules = try RuleSet(dumped: text, file: "kept rules") } catch { throw .badRules(error) }
            let current = try await live.read(family)
            read.append(current)
            if RuleEdits.hasDrifted(live: current, from: rules) { hasDrifted = true }
        }
        return (hasDrifted, AnswerCounters(ofRules: read))
    }
}

extension StatusReport {
    /// The report of a change and of the rules that were last kept.
    init(_ status: ChangeStatus?, kept: KeptRules?, backend: Backend) {
        let state: State =
            switch status?.outcome {
            case nil: kept == nil ? .idle : .kept
            case .pending: .pending
            // A change that is kept leaves a record, unless it was "off".
            case .kept: kept == nil ? .idle : .kept
            case .reverted: .reverted
            case .failed, .refused, .interrupted: .failed
            }
        self.init(
            state: state, change: status?.id ?? kept?.id, secondsLeft: status?.secondsLeft,
            guard: state == .pending
                ? status?.guardPID.map { pid in
                    Guard(pid: pid, supervisor: status?.supervisor == .systemd ? .systemd : .process)
                } : nil,
            backend: backend.rawValue, snapshot: status?.id ?? kept?.id,
            freshConnectionSeen: status?.freshLogin != nil, gate: status?.gate?.rawValue)
    }

    /// The report for people.
    ///
    /// - Parameters:
    ///   - reason: why the change ended as it did.
    ///   - trouble: why the active rules could not be compared.
    ///   - flushed: what became of temporary entries.
    ///   - boot: what happens to kept rules at boot; nil if the reason says it.
    /// - Returns: its lines.
    func text(reason: String?, trouble: ChangeError? = nil, flushed: String? = nil, boot: String?) -> String {
        var lines: [String] =
            switch state {
            case .idle where change != nil:
                ["latchkey is off since the change \(change ?? ""), which removed its rules."]
            case .idle: ["Nothing is pending, and no rules of latchkey's are kept."]
            case .pending:
                [
                    "The change \(change ?? "") is pending" + (secondsLeft.map { ", \($0) s left." } ?? ".")
                ] + ChangeText.choices
            case .kept: ["The change \(change ?? "") was kept."]
            case .reverted: ["The change \(change ?? "") was rolled back."]
            case .failed: ["The change \(change ?? "") failed."]
            }
        if let reason, !reason.isEmpty { lines.append(reason) }
        if state == .pending {
            lines.append(freshConnectionSeen ? "A new SSH login succeeded." : "No new SSH login has been seen yet.")
            if gate == GateKind.none.rawValue { lines.append(ChangeText.noClock) }
            if let guardian = self.guard { lines.append("Guard: process \(guardian.pid).") }
        }
        if let trouble {
            lines.append("\(trouble)")
        } else if drift {
            lines.append(
                state == .pending
                    ? "Another program changed the new rules. The next confirm loads them again."
                    : "Drift: the active rules are no longer the rules that were kept.")
        }
        if state == .kept, let boot { lines.append(boot) }
        lines += temporary.map { "Temporary: \($0.sentence)" } + [flushed].compactMap(\.self)
        lines.append("Backend: \(Backend(rawValue: backend)?.title ?? backend).")
        return lines.flatMap { Wrapping.lines($0, rest: "  ") }.joined(separator: "\n") + "\n"
    }
}
