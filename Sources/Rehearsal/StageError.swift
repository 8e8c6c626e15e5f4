import Host

/// An error of a stage, with its evidence.
package enum StageError: Error, Equatable, Sendable {
    /// A tool that creates namespaces could not be used.
    case host(HostError)
    /// The kernel or its configuration does not allow namespaces here.
    case forbidden(command: [String], message: String)
    /// The agent inside a namespace did not answer as it should.
    case agent(place: Stage.Place, reason: String)
}

extension StageError: CustomStringConvertible {
    /// One or two plain sentences.
    package var description: String {
        switch self {
        case .host(let error): error.description
        case .forbidden(let command, let message):
            "No throwaway namespace can be made here: \(command.joined(separator: " ")): \(message)"
        case .agent(let place, let reason):
            "The probes in the \(place.rawValue) namespace failed: \(reason)"
        }
    }
}
