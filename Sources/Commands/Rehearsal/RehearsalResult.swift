import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// What came of a rehearsal.
struct RehearsalResult: Sendable {
    /// One for every expectation, under the rules that are kept.
    var verdicts: [Verdict]
    /// The same under the rules as they wait to be kept; empty where there is no such form.
    var pending: [Verdict]
    var milliseconds: Int
    /// What was not as on the machine.
    var notes: [String]
    /// The present SSH connection, where no packet told whether it gets in anew and the answers say that it does not.
    var shutOut: Lockout?

    /// What fared otherwise than promised, in one form or the other.
    var differences: [Verdict] {
        let broken =
            verdicts.filter { !$0.isAsPromised }
            + zip(verdicts, pending).filter { $0.isAsPromised && !$1.isAsPromised }.map(\.1)
        return broken.filter { !isPersonal($0) }
    }

    /// Whether another program's rule is about the address alone that stood for a stranger, such as a ban, a list of
    /// addresses that should not occur, a trap for those who scan: another stranger gets in the same way.
    ///
    /// That says nothing about the plan. Of the admins and the present connection it would.
    private func isPersonal(_ verdict: Verdict) -> Bool {
        guard verdict.isKeptOutByOthers else { return false }
        return (verdicts + pending).contains { other in
            other.observation == .accepted && other.expectation.isLike(verdict.expectation)
        }
    }

    /// What other programs' rules do to strangers by their address, each rule once.
    var personalNotes: [String] {
        var seen: Set<CounterDifference.Decision> = []
        return (verdicts + pending).compactMap { verdict in
            guard let decision = verdict.decision, isPersonal(verdict), seen.insert(decision).inserted else {
                return nil
            }
            return "Another program keeps \(verdict.expectation.source) out, which the answers let in: \(decision.text)"
        }
    }

    /// What could be tried.
    var tried: Int { verdicts.count { $0.isTested } }

    /// What could not.
    var untried: Int { verdicts.count - tried }

    /// The present SSH connection anew, where the plan or the rules keep it out.
    var lockout: Verdict? {
        verdicts.first { $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .dropped }
            ?? pending.first {
                $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .dropped
            }
    }

    /// Why the rules are not to be put in force; nil where they may be.
    var refusal: Failure? {
        if let lockout { return Failure(lockout: lockout) }
        if let shutOut { return Failure(shutOut: shutOut) }
        return differences.isEmpty ? nil : Failure(differences: self)
    }

    /// The address from which a new SSH login was seen to get in.
    var login: IPAddress? {
        verdicts.first {
            $0.expectation.role == .you && !$0.expectation.isEstablished && $0.observation == .accepted
        }?.expectation.source
    }
}

/// The other end of the present SSH connection and the port that it uses, which a plan would keep out.
struct Lockout: Equatable, Sendable {
    var peer: IPAddress
    var port: UInt16
}

extension Verdict {
    /// Why nothing could be told; nil where something could.
    var untried: String? { if case .untested(let reason) = observation { reason } else { nil } }

    /// Whether anything could be told.
    var isTested: Bool { untried == nil }

    /// The difference in one sentence that names the answer and the rule.
    var complaint: String {
        let way =
            expectation.direction == .out ? "\(expectation.source) to \(expectation.target)" : "\(expectation.source)"
        let promised = expectation.isAccepted ? "open" : "closed"
        if let untried {
            return "\(expectation.packet.title) from \(way): promised \(promised), not tried; \(untried)."
        }
        let found = observation == .accepted ? "open" : "closed"
        let answer = expectation.answer.map { " by \"\($0.title)\"" } ?? ""
        let rule =
            switch decision {
            case .policy(.drop): "no rule lets it in"
            case .policy(.accept): "no rule keeps it out, and the policy is ACCEPT"
            case .rule?, .earlier?: "decided by \(decision?.text ?? "")"
            case nil: "which rule decided could not be told"
            }
        return "\(expectation.packet.title) from \(way): promised \(promised)\(answer), found \(found); \(rule)."
    }
}

extension Verdict {
    /// Whether a stranger whom the answers let in is kept out by a rule that is not latchkey's.
    fileprivate var isKeptOutByOthers: Bool {
        guard expectation.role == .stranger, !isAsPromised, expectation.isAccepted, let rule = decision?.rule else {
            return false
        }
        return !rule.isOwned
    }
}

extension Expectation {
    /// Whether it is the same, asked by another stranger who meets the server at the same address.
    fileprivate func isLike(_ other: Expectation) -> Bool {
        role == other.role && direction == other.direction && target == other.target && packet == other.packet
            && sourcePort == other.sourcePort && source != other.source
    }

    /// Whether it is about a connection that is older than the rules.
    var isEstablished: Bool { if case .established = packet { true } else { false } }
}

extension Failure {
    /// Why there was no rehearsal: where no namespace can be made, with the remedy.
    init(rehearsal error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as HostError: self.init(error)
        case let error as ChangeError: self.init(error)
        case StageError.host(.toolFailed(let command, _, let message)):
            self.init(
                .missing,
                "There can be no rehearsal here: this machine's network cannot be copied. "
                    + "\(command.joined(separator: " ")): \(message)",
                inForce: Failure.nothingChanged,
                next: "--no-rehearsal goes on without one; what is not confirmed is still taken back.")
        case StageError.host(let error): self.init(error)
        case let error as StageError:
            self.init(
                .missing, "There can be no rehearsal here. \(error)", inForce: Failure.nothingChanged,
                next: StageRemedy.text)
        default: self.init(.failed, "The rehearsal broke off: \(error)", inForce: Failure.nothingChanged)
        }
    }

    /// Refuses rules that do not do what was promised.
    init(differences result: RehearsalResult) {
        let differences = result.differences
        let shown = differences.prefix(8).map { "  \($0.complaint)" }
        let more = differences.count > 8 ? ["  and \(differences.count - 8) more: latchkey rehearse"] : []
        let answers = Set(differences.compactMap { $0.expectation.answer?.title }).sorted()
        self.init(
            .refused,
            (["The rules differ from what the answers promise, \(differences.count) of \(result.verdicts.count) times:"]
                + shown + more).joined(separator: "\n"),
            inForce: Failure.nothingChanged,
            next: answers.isEmpty
                ? "look at the rules named above; other programs' rules and your own templates come into question."
                : "look at the rules named above and at the answers about \(answers.joined(separator: ", ")).")
    }

    /// Refuses rules that keep the present SSH connection out, as packets have shown.
    init(lockout verdict: Verdict) {
        let rule = verdict.decision.map { " Decided by: \($0.text)" } ?? ""
        let port = verdict.expectation.packet.port.map { "\($0)" } ?? "?"
        self.init(lockedOut: verdict.expectation.source, port: port, "does not get in.\(rule)")
    }

    /// Refuses a plan that keeps the present SSH connection out, by the answers alone.
    init(shutOut: Lockout) {
        self.init(lockedOut: shutOut.peer, port: "\(shutOut.port)", "would be dropped.")
    }

    private init(lockedOut peer: IPAddress, port: String, _ fate: String) {
        self.init(
            .refused, "This plan would lock you out: a new SSH connection from \(peer) to port \(port) \(fate)",
            inForce: Failure.nothingChanged,
            next: "let \(peer) in with \"admins\" or \"ssh\" in the answers, or override with --no-rehearsal.")
    }
}

/// What to do where namespaces are forbidden.
enum StageRemedy {
    static let text =
        "use sudo, or allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
        + "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000 "
        + "user.max_net_namespaces=10000; in a container, "
        + "--privileged."
}
