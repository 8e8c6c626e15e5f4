import Host
import Logging

/// What a guard that cannot take a change on leaves in a file, for whoever waits for it.
package struct GuardFailure: Codable, Sendable, Equatable {
    /// The kinds that whoever waits tells apart.
    package enum Kind: String, Codable, Sendable, CaseIterable {
        /// Another change is pending.
        case pending
        /// The rules, a snapshot or a journal are not valid.
        case data
        /// A tool or a kernel feature is missing.
        case missing
        /// Rules that are active cannot be read, or not be written as what they are.
        case unreadable
        /// Anything else.
        case failed
    }

    /// What kind of failure it is.
    package var kind: Kind
    /// What to tell a person.
    package var text: String
    /// The change that stands in the way.
    package var change: String?

    /// The failure that an error stands for.
    package init(_ error: ChangeError) {
        kind =
            switch error {
            case .pending: .pending
            case .badRules, .rulesRefused, .damaged, .noSnapshot: .data
            case .host(.toolMissing): .missing
            case .unreadable, .untruthful: .unreadable
            default: .failed
            }
        text = "\(error)"
        change = error.change
    }
}

/// The guard as a process of its own: the hidden command `latchkey guard`.
package enum GuardProcess {
    /// Owns a change to its end.
    ///
    /// - Parameters:
    ///   - id: the change.
    ///   - supervisor: what started this process, and will start another.
    ///   - environment: the machine.
    package static func run(_ id: String, supervisor: SupervisorKind, in environment: ChangeEnvironment) async {
        DetachedProcess.become()
        do {
            guard var guardian = try await Guard.own(id, supervisor: supervisor, in: environment) else { return }
            await guardian.serve()
        } catch {
            environment.log.error("The guard cannot take the change on: \(error)")
            let path = environment.layout.failure(id)
            let request = environment.layout.request(id)
            // A change that has begun is never given up: its supervisor tries again.
            guard SecureFiles.exists(request) else { return }
            try? SecureFiles.write(Array(JSONText.encode(GuardFailure(error)).utf8), to: path)
            try? SecureFiles.remove(request)
        }
    }
}
