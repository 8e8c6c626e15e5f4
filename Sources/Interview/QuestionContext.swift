import Netfilter
import Policy

/// What a question may take into account: the machine, the services there are, and the answers so far.
package struct QuestionContext: Sendable {
    /// What was found out about the machine.
    package var discovery: Discovery
    /// The service templates known here.
    package var catalog: TemplateCatalog
    /// The answers so far, those not asked yet as they were proposed.
    package var answers: Answers
    /// The questions answered by now.
    package var answered: Set<Question>
    /// Whether the proposals come from an answers file.
    package var hasProposals: Bool

    /// The ports that SSH has under these answers.
    var sshPorts: [UInt16] { answers.ssh?.ports ?? discovery.sshPorts }
}
