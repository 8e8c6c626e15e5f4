import Import
import Policy
import SafeApply

/// Another program's rules as answers, for `latchkey import` and the wizard.
struct ImportedAnswers: Sendable {
    /// The answers, and what became of each rule.
    var result: ImportResult
    /// The machine that they are for.
    let machine: ImportMachine

    /// Imports the rules of a program.
    ///
    /// - Parameters:
    ///   - program: the program.
    ///   - planner: the service templates, and sshd's ports.
    ///   - backend: whose rules are read, for iptables.
    ///   - changeRunner: runs commands on this machine.
    ///   - context: where facts are read.
    /// - Throws: `Failure` with status 69 if there is nothing to import, 65 for a broken file, 77 without root.
    init(
        from program: ImportProgram, _ planner: Planner, _ backend: BackendOptions, _ changeRunner: ChangeRunner,
        in context: CommandContext
    ) async throws(Failure) {
        let read = try await ImportReader(context, changeRunner).read(program, backend)
        machine = ImportMachine(
            of: context, sshPorts: planner.sshPorts, caller: Caller(context.facts),
            families: changeRunner.environment.families)
        guard var result = Importer.answers(from: read.filter, catalog: planner.catalog, machine: machine) else {
            throw Failure(
                .missing, "\(program.rawValue) allows everything: there is nothing to import.",
                activeRules: Failure.nothingChanged, next: "answer the questions of the wizard: sudo latchkey")
        }
        result.answers.log = read.isLogging
        result.notes += read.notes
        self.result = result
    }

    /// What the answers cannot say, and further notes, in whole sentences.
    var sentences: [String] {
        result.omitted.map { "Can't be said in answers: \($0.rule). Now \($0.effect) (\($0.reason))." } + result.notes
    }
}
