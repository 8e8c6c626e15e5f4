import SafeApply

/// The processes that own and supervise a change: latchkey starts them itself.
///
/// Their command lines are not for people, and reading them with Argument Parser takes longer than starting the program.
struct GuardRole: Equatable {
    /// What a process does.
    enum Name: String {
        /// Owns a change, from the snapshot to its end.
        case `guard`
        /// Starts a guard, and restarts it if it dies.
        case supervise
    }

    /// What the process does.
    let name: Name
    /// The ID of the change.
    let id: String
    /// What restarts the supervisor.
    let kind: SupervisorKind

    /// The role that a command line names: `guard ID` or `supervise ID`, with `--systemd` if systemd supervises; nil for
    /// any other command line.
    ///
    /// - Parameter arguments: the command line without the program's name.
    init?(_ arguments: [String]) {
        guard let name = arguments.first.flatMap(Name.init), arguments.count > 1,
            SnapshotStore.isValid(id: arguments[1]), [[], ["--systemd"]].contains(arguments.dropFirst(2))
        else { return nil }
        self.name = name
        id = arguments[1]
        kind = arguments.count > 2 ? .systemd : .process
    }

    /// Does the work until the change has ended.
    ///
    /// - Parameter context: the program's context.
    /// - Returns: `done`.
    /// - Throws: `Failure` with status 77 without root.
    func run(in context: CommandContext) async throws(Failure) -> ProgramStatus {
        try context.requireRoot(name.rawValue)
        let environment = ChangeRunner(in: context).environment
        switch name {
        case .guard: await GuardProcess.run(id, supervisor: kind, in: environment)
        case .supervise: await Supervisor(id, kind: kind, in: environment).run()
        }
        return .done
    }
}
