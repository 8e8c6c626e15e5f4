import Netfilter
import Policy

/// The data that a question depends on: the machine, the known services, and the answers so far.
package struct QuestionContext: Sendable {
    /// The facts about the machine.
    package var discovery: Discovery
    /// The known service templates.
    package var catalog: TemplateCatalog
    /// The answers so far.
    ///
    /// Questions that were not asked yet have their proposed answers.
    package var answers: Answers
    /// The questions that have been answered.
    package var answered: Set<Question>
    /// Whether the proposals come from an answers file.
    package var hasProposals: Bool

    /// The SSH ports according to these answers.
    var sshPorts: [UInt16] { answers.ssh?.ports ?? discovery.sshPorts }
}
