import Host
import Netfilter
import Policy
import SafeApply

/// Begins and ends observations, for `apply --observe`, `--enforce` and `--stop-observing`.
struct ObservationRunner: Sendable {
    private let changeRunner: ChangeRunner
    private let observation: Observation

    init(_ changeRunner: ChangeRunner) {
        self.changeRunner = changeRunner
        observation = Observation(changeRunner.environment)
    }

    /// Loads a plan's rules so that they count and log, and drop nothing.
    ///
    /// - Throws: `Failure` if the rules cannot be loaded; nothing is observed then.
    func begin(
        _ plan: Plan, _ rules: ComposedRules, _ backend: Backend, _ report: ReportOptions, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        do {
            try await observation.begin(
                rules.rules, tables: rules.table.map { [$0] } ?? [], sets: rules.sets, with: backend,
                answers: AnswersFile.render(plan.answers))
        } catch { throw Failure(error) }
        guard await observation.dropped() != nil else {
            throw Failure(.failed, "The rules for observation are not active.", activeRules: Failure.nothingChanged)
        }
        if plan.limitsPublishedPorts {
            context.console.say(Wrapping.text("The published ports of containers are not observed."))
        }
        return try tell(Self.begun, "observing", report, in: context) { Self.next }
    }

    /// The answers that are observed.
    ///
    /// - Throws: `Failure` with status 6 if nothing is observed.
    func observedAnswers() throws(Failure) -> NamedText {
        guard let record = observation.current() else {
            throw Failure(
                .nothingPending, "Nothing is observed.", activeRules: Failure.nothingChanged,
                next: "begin with: sudo latchkey apply --observe")
        }
        return NamedText(name: "the observed answers", text: record.answers)
    }

    /// Ends the observation.
    ///
    /// - Throws: `Failure` with status 6 if nothing is observed.
    func end(_ report: ReportOptions, in context: CommandContext) async throws(Failure) -> ProgramStatus {
        _ = try observedAnswers()
        do { try await observation.end() } catch { throw Failure(error) }
        return try tell(
            "The observation has ended. The active rules were not changed.", "kept", report, in: context)
    }

    private func tell(
        _ sentence: String, _ outcome: String, _ report: ReportOptions, in context: CommandContext,
        next: () -> [String] = { [] }
    ) throws(Failure) -> ProgramStatus {
        do {
            if report.json {
                try context.console.result(ObservationReport(outcome: outcome, reason: sentence).json())
            } else {
                try context.console.result((Wrapping.text(sentence)) + next().map { "  \($0)\n" }.joined())
            }
        } catch { throw Failure(.failed, "\(error)") }
        return .done
    }

    private static let begun =
        "Observing: these answers block nothing. What they would drop is counted, and a few packets a minute are "
        + "logged. The active rules still decide. The observation ends when you keep a change, and at a reboot."

    private static let next = [
        "Look:     sudo latchkey drops", "Enforce:  sudo latchkey apply --enforce",
        "End:      sudo latchkey apply --stop-observing",
    ]

    /// The note of a review while answers are observed.
    static let note =
        "Answers are observed now, and block nothing. When you keep this change, the observation ends."

    /// The sentence for `status` and `doctor`.
    ///
    /// - Parameters:
    ///   - record: what is observed.
    ///   - dropped: how many packets would have been dropped; nil if the rules are gone.
    /// - Returns: one or two sentences.
    static func sentence(_ record: Observation.Record, dropped: UInt64?) -> String {
        guard let dropped else {
            return "Answers were to be observed, but another program has removed the rules that count: run "
                + "\"latchkey apply --observe\" again."
        }
        return "Answers are observed, and block nothing: they would have dropped \(dropped) "
            + "packet\(dropped == 1 ? "" : "s") since \(DropsText.minute(record.since)) UTC. See \"latchkey drops\"."
    }
}

extension ChangeRunner {
    /// The backend of the rules that are observed; nil if nothing is.
    var observedBackend: BackendOptions.Choice? {
        Observation(environment).current().flatMap { BackendOptions.Choice(rawValue: $0.backend.rawValue) }
    }
}

/// What `apply --observe` and `apply --stop-observing` report with `--json`; the keys are those of a change.
struct ObservationReport: Report, Equatable {
    /// `observing`, or `kept` for the end of an observation.
    var outcome: String
    /// Always null: an observation is no change.
    @OrNull var change: String?
    /// Always null.
    @OrNull var snapshot: String?
    /// What happened, in a sentence.
    var reason: String
    /// Whether the rules were read back.
    var verified = true
    /// Always empty.
    var persisted: [String] = []

    init(outcome: String, reason: String) {
        self.outcome = outcome
        self.reason = reason
        change = nil
        snapshot = nil
    }
}
