import Host
import Logging
import Netfilter
import Policy
import SafeApply

/// Makes changes and reports how they end, for all commands that change rules.
struct ChangeRunner: Sendable {
    let environment: ChangeEnvironment
    let client: ChangeClient

    /// Creates a runner with a client to the guard.
    init(in context: CommandContext) {
        environment = ChangeEnvironment.system(
            context.layout, facts: context.facts, log: Logger(label: "latchkey") { _ in SystemLog() })
        let console = context.console
        client = ChangeClient(environment) { console.say(Wrapping.lines($0).joined(separator: "\n") + "\n") }
    }

    /// An ID for a change that begins now.
    func freshID() -> String { SnapshotStore(environment).freshID(date: environment.clock.date()) }

    /// The named backend, or else the one of the last kept change, or else iptables where it is installed, or else
    /// nftables.
    ///
    /// - Throws: `Failure` with status 69 if there is none.
    func backend(_ options: BackendOptions? = nil) async throws(Failure) -> Backend {
        do { return try await ChosenBackend.find(options?.named, in: environment) } catch { throw Failure(error) }
    }

    /// Fails early, before a rehearsal, if no change can begin now.
    ///
    /// - Throws: `Failure` with status 5 while another change is pending.
    func requireNothingPending() async throws(Failure) {
        do { try await client.requireNothingPending() } catch { throw Failure(error) }
    }

    /// The kept rules of another backend than the one of a change: they go when it is kept.
    ///
    /// - Throws: `Failure` if they cannot be read.
    func retirement(for backend: Backend) async throws(Failure) -> Retirement? {
        do { return try await Retirement.before(backend, in: environment) } catch { throw Failure(error) }
    }

    /// Says that the kept rules of another backend go.
    static func note(of retirement: Retirement?) -> String? {
        retirement.map {
            "latchkey's rules in \($0.backend.title) are not active while these are pending, and are removed if you keep "
                + "these."
        }
    }

    /// Refuses a plan that the backend nftables does not carry out.
    ///
    /// - Throws: `Failure` with status 69 for `existing: replace` where iptables tables exist.
    func requirePossible(_ plan: Plan, with backend: Backend) async throws(Failure) {
        guard backend == .nftables, plan.answers.existing == .replace,
            await OtherBackend.hasIPTables(in: environment)
        else { return }
        throw Failure(
            .missing,
            "The backend nftables changes only its own table, and here are iptables tables that \"existing: replace\" "
                + "would have to flush.", activeRules: Failure.nothingChanged,
            next: "answer \"existing: keep\", or use iptables (--backend nft), or flush those tables yourself.")
    }

    /// The request that applies a plan.
    ///
    /// - Throws: `Failure` as `backend` does, and with status 69 for a plan that the backend cannot carry out.
    func request(
        _ plan: Plan, rules composed: ComposedRules, caller: Caller, options: ChangeOptions, layout: Layout
    ) async throws(Failure) -> ChangeRequest {
        let backend = try await backend(options.backend)
        try await requirePossible(plan, with: backend)
        try await TemporaryRunner.requireUnblocked(plan.answers.admins, backend, in: environment)
        var request = ChangeRequest(
            id: freshID(), scope: plan.answers.existing == .keep ? .inputChain : .tables,
            rules: PerFamily(ipv4: composed.rules.ipv4?.text, ipv6: composed.rules.ipv6?.text),
            tables: composed.table?.compactText,
            backend: backend, deadlineSeconds: options.deadline.seconds,
            requester: caller.requester, sshPorts: plan.sshPorts,
            admins: Family.allCases.flatMap(plan.answers.admins.sample).map(\.canonical),
            answers: KeptFile(path: layout.answers, text: AnswersFile.render(plan.answers)), persists: true,
            sets: composed.sets)
        request.retirement = try await retirement(for: backend)
        return request
    }
}

// MARK: - The outcome

extension ChangeReport {
    /// The report of a change in its current state.
    init(_ status: ChangeStatus) {
        self.init(
            outcome: status.outcome, change: status.id, snapshot: status.id, reason: status.words,
            verified: status.verified, persisted: status.persisted)
    }

    /// The report of a change that did not begin, or was not confirmed.
    init(_ failure: Failure) {
        self.init(
            outcome: failure.status == .failed ? .failed : .refused, change: failure.change, snapshot: failure.change,
            reason: failure.what, verified: false)
    }
}

extension ReportOptions {
    /// Runs code that makes or ends a change; with `--json`, a failure is also reported as JSON.
    ///
    /// - Throws: what the body throws.
    func reporting(
        in context: CommandContext, _ body: () async throws(Failure) -> ProgramStatus
    ) async throws(Failure) -> ProgramStatus {
        do { return try await body() } catch {
            if json { try context.console.result(ChangeReport(error).json()) }
            throw error
        }
    }
}

extension ProgramStatus {
    /// The exit status of a program that waited for a change.
    init(waitedFor status: ChangeStatus) {
        self =
            switch status.outcome {
            case .pending: status.state == .applied ? .done : .failed
            case .kept: .done
            case .reverted: .reverted
            // With neither the previous rules nor the emergency opening active, the message says so.
            case .failed, .refused, .interrupted: status.isOpened == true ? .emergencyOpening : .failed
            }
    }
}

extension Failure {
    /// The failure for an error of a change.
    init(_ error: ChangeError) {
        switch error {
        case .pending:
            self.init(.changePending, error.description, next: "sudo latchkey status")
        case .nothingPending:
            self.init(.nothingPending, error.description)
        case .notFresh:
            self.init(
                .notConfirmed, error.description,
                next: "open a new SSH login and run \"latchkey confirm\" there, or override with --same-connection.")
        case .badRules, .rulesRefused, .damaged, .noSnapshot:
            self.init(.badData, error.description, activeRules: Self.nothingChanged)
        case .refusedByGuard(let failure):
            let status: ProgramStatus =
                switch failure.kind {
                case .pending: .changePending
                case .data: .badData
                case .missing, .unreadable: .missing
                case .failed: .failed
                }
            self.init(
                status, failure.text, activeRules: Self.nothingChanged,
                next: failure.kind == .missing ? Self.install : failure.kind == .unreadable ? Self.otherBackend : nil)
        case .unreadable, .untruthful:
            self.init(.missing, error.description, activeRules: Self.nothingChanged, next: Self.otherBackend)
        case .noGuard:
            self.init(.failed, error.description, activeRules: Self.nothingChanged, next: "sudo latchkey status")
        case .undecided, .refused:
            self.init(.failed, error.description, next: "sudo latchkey status")
        case .host(let error):
            self.init(error)
        }
        change = error.change
    }
}
