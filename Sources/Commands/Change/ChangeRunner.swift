import Host
import Logging
import Netfilter
import Policy
import SafeApply

/// Makes changes and tells how they end, for every command that does.
struct ChangeRunner: Sendable {
    let environment: ChangeEnvironment
    let client: ChangeClient

    /// A way to the guard.
    init(in context: CommandContext) {
        environment = ChangeEnvironment.system(
            context.layout, facts: context.facts, log: Logger(label: "latchkey") { _ in SystemLog() })
        let console = context.console
        client = ChangeClient(environment) { console.say(Wrapping.lines($0).joined(separator: "\n") + "\n") }
    }

    /// A name for a change that begins now.
    func freshID() -> String { SnapshotStore(environment).freshID(date: environment.clock.date()) }

    /// The backend that was named, else the one that the system calls `iptables`.
    ///
    /// - Throws: `Failure` with status 69 where there is none.
    func backend(_ options: BackendOptions? = nil) async throws(Failure) -> Backend {
        if let named = options?.named { return named }
        do {
            return try await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
        } catch { throw Failure(error) }
    }

    /// Refuses what could not begin now, ahead of a rehearsal.
    ///
    /// - Throws: `Failure` with status 5 while another change is pending.
    func requireNothingPending() async throws(Failure) {
        do { try await client.requireNothingPending() } catch { throw Failure(error) }
    }

    /// The request that puts a plan in force.
    ///
    /// - Throws: `Failure` as `backend` does.
    func request(
        _ plan: Plan, rules composed: ComposedRules, caller: Caller, options: ChangeOptions, layout: Layout
    ) async throws(Failure) -> ChangeRequest {
        ChangeRequest(
            id: freshID(), scope: plan.answers.existing == .keep ? .inputChain : .tables,
            rules: PerFamily(ipv4: composed.rules.ipv4?.text, ipv6: composed.rules.ipv6?.text),
            backend: try await backend(options.backend), deadlineSeconds: options.deadline.seconds,
            requester: caller.requester, sshPorts: plan.sshPorts,
            admins: Family.allCases.flatMap(plan.answers.admins.sample).map(\.canonical),
            answers: KeptFile(path: layout.answers, text: AnswersFile.render(plan.answers)), persists: true,
            sets: composed.sets)
    }
}

// MARK: - How it ended

extension ChangeReport {
    /// The report of a change as it stands.
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
    /// Runs what makes or ends a change; with `--json`, whatever stops it is reported too.
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
    /// How the program that waited for a change ends.
    init(waitedFor status: ChangeStatus) {
        self =
            switch status.outcome {
            case .pending: status.state == .applied ? .done : .failed
            case .kept: .done
            case .reverted: .reverted
            // Neither the previous rules nor the opening: the message says so.
            case .failed, .refused, .interrupted: status.isOpened == true ? .emergencyOpening : .failed
            }
    }
}

extension Failure {
    /// What trouble with a change means to the user.
    init(_ error: ChangeError) {
        switch error {
        case .pending:
            self.init(.changePending, error.description, next: "sudo latchkey status")
        case .nothingPending:
            self.init(.nothingPending, error.description)
        case .notFresh:
            self.init(
                .notConfirmed, error.description,
                next: "log in anew by SSH and run \"latchkey confirm\" there; --same-connection overrides.")
        case .badRules, .rulesRefused, .damaged, .noSnapshot:
            self.init(.badData, error.description, inForce: Self.nothingChanged)
        case .refusedByGuard(let failure):
            let status: ProgramStatus =
                switch failure.kind {
                case .pending: .changePending
                case .data: .badData
                case .missing, .unreadable: .missing
                case .failed: .failed
                }
            self.init(
                status, failure.text, inForce: Self.nothingChanged,
                next: failure.kind == .missing ? Self.install : nil)
        case .unreadable, .untruthful:
            self.init(.missing, error.description, inForce: Self.nothingChanged)
        case .noGuard:
            self.init(.failed, error.description, inForce: Self.nothingChanged, next: "sudo latchkey status")
        case .undecided, .refused:
            self.init(.failed, error.description, next: "sudo latchkey status")
        case .host(let error):
            self.init(error)
        }
        change = error.change
    }
}
