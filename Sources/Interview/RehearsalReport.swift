/// What came of trying a plan with real packets.
package enum RehearsalReport: Equatable, Sendable {
    /// A packet that fared otherwise than the answers promise.
    package struct Difference: Equatable, Sendable {
        /// Who sent it: an address, or what stands for one.
        package var from: String
        /// What it was: "22/tcp", "ping".
        package var packet: String
        /// Whether the answers let it in; what was seen is the opposite.
        package var expectedOpen: Bool
        /// Why it could not be tried; nil for what was seen.
        package var untried: String?
        /// The rule that decided, where it is known.
        package var rule: String?
        /// The answer to change.
        package var question: Question?

        /// Makes a difference.
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

    /// Everything that could be tried fared as promised; `login` is the address from which a new SSH login was seen to get in.
    case passed(probes: Int, untried: Int = 0, milliseconds: Int, login: String?)
    /// These did not.
    case failed(probes: Int, differences: [Difference])
    /// The plan keeps its promises, and they shut out the SSH connection that asks for it.
    case lockout(peer: String, port: UInt16)
    /// Nothing was tried, and why.
    case skipped(String)

    /// Whether the plan may be put in force.
    package var permitsApply: Bool {
        switch self {
        case .passed, .skipped: true
        case .failed, .lockout: false
        }
    }

    /// The answer to change, where one is known.
    package var question: Question? {
        switch self {
        case .passed, .skipped: nil
        case .lockout: .ssh
        case .failed(_, let differences): differences.lazy.compactMap(\.question).first
        }
    }
}
