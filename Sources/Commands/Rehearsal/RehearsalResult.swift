import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// The result of a rehearsal.
struct RehearsalResult: Sendable {
    /// One verdict for each expectation, under the kept rules.
    var verdicts: [Verdict]
    /// The same under the pending rules; empty if there are none.
    var pending: [Verdict]
    var milliseconds: Int
    /// How the rehearsal differed from the machine.
    var notes: [String]
    /// The names of other firewall managers that go when the change is kept: what they close while it is pending is no
    /// mistake.
    var takenOver: String?
    /// The present SSH connection, if no packet could test it and the answers say that the plan blocks it.
    var lockoutByAnswers: Lockout?

    /// The verdicts that differ from what was promised, in one form or the other.
    var differences: [Verdict] {
        let broken =
            verdicts.filter { !$0.isAsPromised }
            + zip(verdicts, pending).filter { $0.isAsPromised && !$1.isAsPromised }.map(\.1)
            .filter { takenOver == nil || !$0.expectation.isAccepted }
        return broken.filter { !isAddressSpecific($0) && !isUpToOthers($0) }
    }

    /// What other programs' rules open or close besides, each rule once: it is shown, not refused, unless it shuts out an
    /// admin or SSH.
    var otherProgramsNotes: [String] {
        let others = zip(verdicts, pending.isEmpty || takenOver != nil ? verdicts : pending)
            .map { $0.isAsPromised ? $1 : $0 }
            .filter { isUpToOthers($0) && !isAddressSpecific($0) }
        var decisions: [CounterDifference.Decision?] = []
        for decision in others.map(\.decision) where !decisions.contains(decision) { decisions.append(decision) }
        return decisions.map { decision in
            let own = others.filter { $0.decision == decision }
            let count = own.count < 2 ? "" : " and \(own.count - 1) more packet\(own.count == 2 ? "" : "s")"
            return "Other programs: \(own[0].differenceText.dropLast())\(count)."
        }
    }

    /// Whether another program's rule blocks only the address that was used as a stranger, such as a ban, a bogon list
    /// or a port-scan trap: another stranger's packet is allowed.
    ///
    /// Such a rule says nothing about the plan, unless it blocks an admin or the present connection.
    private func isAddressSpecific(_ verdict: Verdict) -> Bool {
        guard verdict.isBlockedByOthers else { return false }
        return (verdicts + pending).contains { other in
            other.observation == .accepted && other.expectation.isLike(verdict.expectation)
        }
    }

    /// The other programs' rules that block a stranger by its address, each rule once.
    var addressSpecificNotes: [String] {
        var seen: Set<CounterDifference.Decision> = []
        return (verdicts + (takenOver == nil ? pending : [])).compactMap { verdict in
            guard let decision = verdict.decision, isAddressSpecific(verdict), seen.insert(decision).inserted else {
                return nil
            }
            return "Another program blocks \(verdict.expectation.source), which the answers allow: \(decision.text)"
        }
    }

    /// What the managers that the change takes over close until it is kept.
    var takeOverNotes: [String] {
        let count = zip(verdicts, pending).count { $0.isAsPromised && !$1.isAsPromised }
        guard let takenOver, count > 0 else { return [] }
        return [
            "\(count) of these packets are allowed once you keep the change: until then \(takenOver) blocks them."
        ]
    }

    /// How many packets could be tested.
    var tried: Int { verdicts.count { $0.isTested } }

    /// How many could not.
    var untried: Int { verdicts.count - tried }

    /// The verdict on a new SSH login from the present address, if the rules block it.
    var lockout: Verdict? {
        verdicts.first { $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .dropped }
            ?? pending.first {
                $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .dropped
            }
    }

    /// Why the rules must not be applied; nil if they may be.
    var refusal: Failure? {
        if let lockout { return Failure(lockout: lockout) }
        if let lockoutByAnswers { return Failure(lockoutByAnswers: lockoutByAnswers) }
        return differences.isEmpty ? nil : Failure(differences: self)
    }

    /// The address from which a new SSH login was tested and allowed.
    var login: IPAddress? {
        verdicts.first {
            $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .accepted
        }?.expectation.source
    }
}

/// The client's address and the server port of the present SSH connection, which a plan would block.
struct Lockout: Equatable, Sendable {
    var peer: IPAddress
    var port: UInt16
}

extension Verdict {
    /// Why the packet could not be tested; nil if it was.
    var untried: String? { if case .untested(let reason) = observation { reason } else { nil } }

    /// Whether the packet was tested.
    var isTested: Bool { untried == nil }

    /// The difference in one sentence that names the answer and the rule.
    var differenceText: String {
        let way =
            expectation.direction == .out ? "\(expectation.source) to \(expectation.target)" : "\(expectation.source)"
        let promised = expectation.isAccepted ? "open" : "closed"
        let published = expectation.direction == .in ? expectation.container.map { " (published, to \($0))" } : nil
        let title = expectation.packet.title + (published ?? "")
        if let untried {
            return "\(title) from \(way): expected \(promised), not tested; \(untried)."
        }
        let found = observation == .accepted ? "open" : "closed"
        let answer = expectation.answer.map { " by \"\($0.title)\"" } ?? ""
        let decided =
            switch decision {
            case .policy(.drop): "; no rule allows it"
            case .policy(.accept): "; no rule blocks it, and the policy is ACCEPT"
            case .otherPolicy(let policy, let place): " by \(place) (policy \(policy.rawValue.lowercased()))"
            case .rule(let rule), .earlier(let rule):
                rule.place == nil ? "; decided by \(rule.fullText)" : " by \(rule.fullText)"
            case nil: "; the deciding rule is unknown"
            }
        return "\(title) from \(way): expected \(promised)\(answer), found \(found)\(decided)."
    }
}

extension Verdict {
    /// Whether a rule that is not latchkey's blocks a stranger that the answers allow.
    fileprivate var isBlockedByOthers: Bool {
        guard expectation.role == .stranger, !isAsPromised, expectation.isAccepted, let decision else {
            return false
        }
        return decision.isOfOthers
    }
}

extension RehearsalResult {
    /// Whether another program's rule opens or closes what the answers don't, and nobody needs it to be otherwise: it is
    /// no admin's packet to the server itself, and no login.
    fileprivate func isUpToOthers(_ verdict: Verdict) -> Bool {
        let expectation = verdict.expectation
        guard !verdict.isAsPromised, verdict.isTested else { return false }
        if expectation.container != nil, expectation.isAccepted {
            // latchkey's own rules count what they drop.
            return verdict.decision?.isOfOthers ?? true
        }
        if expectation.container != nil {
            // Another program's rule accepts every published port's packets in the end. It is its doing only where it is
            // ahead of latchkey's rules, which decide about other packets. In nftables, nobody else can accept for good.
            guard verdict.decision?.isOfOthers != false else { return false }
            return (verdicts + pending).contains { other in
                guard other.expectation.container != nil, other.expectation.direction == .in,
                    other.expectation.family == expectation.family, let decision = other.decision, !decision.isOfOthers
                else { return false }
                return decision.rule?.place == nil
            }
        }
        guard let decision = verdict.decision, decision.isOfOthers else { return false }
        guard expectation.isAccepted else { return true }
        return ![.admin, .you].contains(expectation.role) && expectation.answer != .ssh
    }
}

extension Expectation {
    /// Whether it is the same packet to the same server address from another stranger.
    fileprivate func isLike(_ other: Expectation) -> Bool {
        role == other.role && direction == other.direction && target == other.target && packet == other.packet
            && sourcePort == other.sourcePort && container == other.container && source != other.source
    }

    /// Whether the connection is older than the rules.
    var isEstablished: Bool { if case .established = packet { true } else { false } }
}

extension Failure {
    /// The failure for a rehearsal that is not possible here, with the remedy.
    init(rehearsal error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as HostError: self.init(error)
        case let error as ChangeError: self.init(error)
        case StageError.host(.toolFailed(let command, _, let message)):
            self.init(
                .missing,
                "No rehearsal is possible here: this machine's network cannot be copied. "
                    + "\(command.joined(separator: " ")): \(message)",
                activeRules: Failure.nothingChanged,
                next: "use --no-rehearsal to continue without one; an unconfirmed change still rolls back.")
        case StageError.host(let error): self.init(error)
        case let error as StageError:
            self.init(
                .missing, "No rehearsal is possible here. \(error)", activeRules: Failure.nothingChanged,
                next: StageRemedy.text)
        default: self.init(.failed, "The rehearsal failed: \(error)", activeRules: Failure.nothingChanged)
        }
    }

    /// Refuses rules that don't do what the answers promise.
    init(differences result: RehearsalResult) {
        let differences = result.differences
        let shown = differences.prefix(8).map { "  \($0.differenceText)" }
        let more =
            differences.count > 8 ? ["  and \(differences.count - 8) more: run \"latchkey rehearse\" to see all"] : []
        let answers = Set(differences.compactMap { $0.expectation.answer?.title }).sorted()
        self.init(
            .refused,
            (["The rules differ from the answers in \(differences.count) of \(result.verdicts.count) packets:"]
                + shown + more).joined(separator: "\n"),
            activeRules: Failure.nothingChanged,
            next: answers.isEmpty
                ? "check the rules named above: they come from other programs or from your own templates."
                : "check the rules named above and the answers for \(answers.joined(separator: ", ")).")
    }

    /// Refuses rules that block the present SSH connection, as tested with packets.
    init(lockout verdict: Verdict) {
        let rule = verdict.decision.map { " Decided by: \($0.text)" } ?? ""
        let port = verdict.expectation.packet.port.map { "\($0)" } ?? "?"
        self.init(lockedOut: verdict.expectation.source, port: port, "is blocked.\(rule)")
    }

    /// Refuses a plan that blocks the present SSH connection according to the answers.
    init(lockoutByAnswers lockout: Lockout) {
        self.init(lockedOut: lockout.peer, port: "\(lockout.port)", "would be blocked.")
    }

    private init(lockedOut peer: IPAddress, port: String, _ result: String) {
        self.init(
            .refused, "This plan would lock you out: a new SSH connection from \(peer) to port \(port) \(result)",
            activeRules: Failure.nothingChanged,
            next: "allow \(peer) with \"admins\" or \"ssh\" in the answers, or override with --no-rehearsal.")
    }
}

/// What to do where user namespaces are not allowed.
enum StageRemedy {
    static let text =
        "use sudo, or allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
        + "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000 "
        + "user.max_net_namespaces=10000; in a container, "
        + "--privileged."
}
