/// A request to the guard: one line of JSON.
package struct GuardRequest: Codable, Sendable, Equatable {
    /// The kinds of request.
    package enum Verb: String, Codable, Sendable, CaseIterable {
        /// Apply the rules now: the client knows that the guard is ready.
        case begin
        /// Report the status.
        case status
        /// Answer when the change has ended.
        case wait
        /// Keep the new rules.
        case confirm
        /// Roll back to the previous rules now.
        case revert
        /// Give more time.
        case extend
    }

    /// The kind of request.
    package var verb: Verb
    /// For `confirm`: keep the rules even over a connection that is older than the change.
    package var sameConnection: Bool?
    /// For `extend`: how many seconds from now; nil for as many as the first deadline.
    package var seconds: Int?

    /// A request.
    package init(_ verb: Verb, sameConnection: Bool? = nil, seconds: Int? = nil) {
        self.verb = verb
        self.sameConnection = sameConnection
        self.seconds = seconds
    }
}

/// The guard's answer.
package struct GuardReply: Codable, Sendable, Equatable {
    /// Whether the request was carried out.
    package enum Answer: String, Codable, Sendable, CaseIterable {
        /// It was; `status` has the result.
        case done
        /// Not confirmed: the request does not come from a new SSH login.
        case notFresh
        /// The change has already ended.
        case tooLate
        /// It cannot be done; the text says why.
        case refused
    }

    /// Whether the request was carried out.
    package var answer: Answer
    /// The message for a person.
    package var text: String
    /// The status after the request.
    package var status: ChangeStatus
}
