/// The result of a rehearsal with real packets.
package enum RehearsalReport: Equatable, Sendable {
    /// A packet whose result differs from what the answers say.
    package struct Difference: Equatable, Sendable {
        /// The sender: an address, or a name for one.
        package var from: String
        /// The packet: "22/tcp", "ping".
        package var packet: String
        /// Whether the answers allow it.
        ///
        /// The observed result is the opposite.
        package var expectedOpen: Bool
        /// Why it could not be tested; nil if it was tested.
        package var untried: String?
        /// The rule that decided, if known.
        package var rule: String?
        /// The question whose answer to change.
        package var question: Question?

        /// Creates a difference.
        package init(
            from: String, packet: String, expectedOpen: Bool, untried: String? = nil, rule: String? = nil,
            question: Question? = nil
        ) {
            self.from = from
            self.packet = packet
            self.expectedOpen = expectedOpen
            self.untried = untried
            self.rule = rule
            self.question = question
        }
    }

    /// All tested packets had the expected result. `login` is the address from which a new SSH login was tested.
    case passed(probes: Int, untried: Int = 0, milliseconds: Int, login: String?)
    /// Some packets had a different result.
    case failed(probes: Int, differences: [Difference])
    /// The rules match the answers, and the answers would lock out the user's SSH connection.
    case lockout(peer: String, port: UInt16)
    /// Nothing was tested, for this reason.
    case skipped(String)

    /// Whether the plan may be applied.
    package var permitsApply: Bool {
        switch self {
        case .passed, .skipped: true
        case .failed, .lockout: false
        }
    }

    /// The question whose answer to change, if known.
    package var question: Question? {
        switch self {
        case .passed, .skipped: nil
        case .lockout: .ssh
        case .failed(_, let differences): differences.lazy.compactMap(\.question).first
        }
    }
}
