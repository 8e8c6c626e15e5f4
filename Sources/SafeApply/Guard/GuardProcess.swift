import Host
import Logging

/// Why a guard could not begin a change; written to a file for the waiting client.
package struct GuardFailure: Codable, Sendable, Equatable {
    /// The kinds that the client distinguishes.
    package enum Kind: String, Codable, Sendable, CaseIterable {
        /// Another change is pending.
        case pending
        /// The rules, a snapshot or a journal are not valid.
        case data
        /// A tool or a kernel feature is missing.
        case missing
        /// Active rules cannot be read, or cannot be written correctly.
        case unreadable
        /// Anything else.
        case failed
    }

    /// What kind of failure it is.
    package var kind: Kind
    /// The message for a person.
    package var text: String
    /// The ID of the change that is in the way.
    package var change: String?

    /// The failure for an error.
    package init(_ error: ChangeError) {
        kind =
            switch error {
            case .pending: .pending
            case .badRules, .rulesRefused, .damaged, .noSnapshot: .data
            case .host(.toolMissing), .host(.toolUnusable): .missing
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
    ///   - supervisor: what started this process, and restarts it if it dies.
    ///   - environment: the machine.
    package static func run(_ id: String, supervisor: SupervisorKind, in environment: ChangeEnvironment) async {
        DetachedProcess.become()
        do {
            guard var guardian = try await Guard.own(id, supervisor: supervisor, in: environment) else { return }
            await guardian.serve()
        } catch {
            environment.log.error("The guard cannot begin the change \(id): \(error)")
            let path = environment.layout.failure(id)
            let request = environment.layout.request(id)
            // A change that has begun is never abandoned: its supervisor starts another guard.
            guard SecureFiles.exists(request) else { return }
            try? SecureFiles.write(Array(JSONText.encode(GuardFailure(error)).utf8), to: path)
            try? SecureFiles.remove(request)
        }
    }
}
