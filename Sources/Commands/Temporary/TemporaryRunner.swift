import Host
import Netfilter
import Policy
import SafeApply

/// Makes and removes temporary entries, for `allow`, `block` and `forget`.
struct TemporaryRunner: Sendable {
    private let context: CommandContext
    private let changeRunner: ChangeRunner
    private let templates: TemplateOptions
    private let backend: Backend

    /// The runner on a machine that latchkey has set up.
    ///
    /// - Throws: `Failure` with status 69 if no rules of latchkey's are kept or pending.
    init(_ templates: TemplateOptions, in context: CommandContext) async throws(Failure) {
        self.context = context
        self.templates = templates
        changeRunner = ChangeRunner(in: context)
        guard let backend = try await Self.backend(changeRunner) else {
            throw Failure(
                .missing, "latchkey has not set up a firewall here: no rules of its own are kept or pending.",
                activeRules: Failure.nothingChanged, next: "set it up first: sudo latchkey")
        }
        self.backend = backend
    }

    /// The backend of the pending or kept rules; nil if there are none.
    private static func backend(_ changeRunner: ChangeRunner) async throws(Failure) -> Backend? {
        do {
            if let status = try await changeRunner.client.current(), !status.state.isFinal { return status.backend }
            return try Persistence(changeRunner.environment).lastKept()?.backend
        } catch { throw Failure(error) }
    }

    // MARK: - The command line

    /// The source that a person wrote.
    ///
    /// - Throws: `Failure` with status 65 for anything but an address or a network.
    static func source(_ text: String) throws(Failure) -> CIDR {
        let source: CIDR
        do { source = try CIDR(source: text) } catch {
            throw Failure(.badData, "\(error)", activeRules: Failure.nothingChanged)
        }
        guard source.isEverything else { return source }
        throw Failure(
            .badData, "\(text.quoted()) is every address: that is no temporary entry.",
            activeRules: Failure.nothingChanged,
            next: "name a smaller network; who may reach what is in the answers.")
    }

    /// What a person wants to open; nil for everything.
    ///
    /// - Throws: `Failure` with status 65 for an unknown service or bad ports.
    func opening(_ text: String?) async throws(Failure) -> TemporaryEntry.Opening? {
        guard let text else { return nil }
        if text.contains("/") || text.first?.isNumber == true {
            do { return .init(ports: [try PortSpec(parsing: text)]) } catch {
                throw Failure(.badData, "\(error)", activeRules: Failure.nothingChanged)
            }
        }
        let planner = try await Planner(templates, in: context)
        guard let template = planner.catalog[text] else {
            let nearest = Suggestion.nearest(to: text, among: planner.catalog.names)
            throw Failure(
                .badData, PlanError.unknownService(text, nearest: nearest).description,
                activeRules: Failure.nothingChanged, next: "latchkey services lists all; a port is written as 8080/tcp.")
        }
        guard template.protocols.isEmpty else {
            let names = template.protocols.map { $0.rawValue.uppercased() }.joined(separator: " and ")
            throw Failure(
                .badData, "The service \(text) also needs the protocol \(names), which has no ports.",
                activeRules: Failure.nothingChanged, next: "allow everything from this source, or add it to the answers.")
        }
        // Where sshd listens decides, as in a plan.
        let isSSH = text == "ssh" && !planner.sshPorts.isEmpty
        let ports = isSSH ? planner.sshPorts.map { PortSpec(range: PortRange($0), transport: .tcp) } : template.ports
        return .init(ports: ports.sorted(), service: text)
    }

    // MARK: - Refusals

    /// Refuses to block an admin or the person who asks.
    ///
    /// - Throws: `Failure` with status 65 for an admin, 4 for the address of the present SSH connection.
    func requireBlockable(_ source: CIDR) async throws(Failure) {
        for admin in try await admins() where admin.contains(source) || source.contains(admin) {
            throw Failure(
                .badData, "\(source) would block the admin \(admin).", activeRules: Failure.nothingChanged,
                next: "remove it from the admins in \(context.layout.answers) first, and apply the answers.")
        }
        let caller = Caller(context.facts)
        guard let address = caller.peer ?? caller.hint?.address, source.contains(address) else { return }
        let origin = caller.peer == nil ? "SSH_CONNECTION says that you come from there" : "your own SSH connection"
        throw Failure(
            .refused, "\(source) contains \(address): \(origin). You could not log in again.",
            activeRules: Failure.nothingChanged,
            next: "block a smaller network, or do it from another address.")
    }

    /// The admins of the kept answers.
    ///
    /// - Throws: `Failure` with status 65 for answers that cannot be read.
    private func admins() async throws(Failure) -> [CIDR] {
        let path = context.layout.answers
        guard SecureFiles.exists(path) else { return [] }
        let planner = try await Planner(templates, in: context)
        return try planner.answers(try NamedText(name: path, path: path, in: context)).admins.all
    }

    // MARK: - Adding and removing

    /// Adds an entry and reports it.
    ///
    /// - Throws: `Failure` if the kernel or a tool does not make it.
    func add(_ entry: TemporaryEntry, _ report: ReportOptions) async throws(Failure) -> ProgramStatus {
        // Answers that are being edited stop no one from being allowed.
        let admins = (try? await admins()) ?? []
        let moved: [TemporaryEntry]
        do {
            let turn = try await changeRunner.client.takeTurn()
            defer { withExtendedLifetime(turn) {} }
            moved = try await TemporaryEntries(backend, in: changeRunner.environment).add(
                entry, admins: CIDR.merged(admins))
        } catch { throw Failure(error) }
        let shown = TemporaryReport(entry)
        let sentence =
            shown.statement
            + (entry.secondsLeft.map { " for \(TemporaryReport.duration($0))." } ?? " until reboot.")
        try context.console.result(report.json ? try shown.json() : Wrapping.text(sentence))
        for earlier in moved {
            context.console.say(Wrapping.text("Before: \(TemporaryReport(earlier).sentence)"))
        }
        if entry.secondsLeft == nil { context.console.say(Wrapping.text(Self.lasting(entry, context.layout.answers))) }
        return .done
    }

    /// How an entry can be made to last.
    private static func lasting(_ entry: TemporaryEntry, _ path: String) -> String {
        let place =
            switch (entry.verdict, entry.opening) {
            case (.block, _): "to \"block\""
            case (.allow, nil): "to \"admins\""
            case (.allow, let opening?):
                "to \"from\" of " + (opening.service.map { "the service \($0)" } ?? "a service with these ports")
            }
        return "After a reboot it is gone. To make it last, add \(entry.source) \(place) in \(path) and run: sudo latchkey "
            + "apply"
    }

    /// Removes all entries of a source and reports them.
    ///
    /// - Throws: `Failure` with status 6 if there are none.
    static func forget(
        _ source: CIDR, _ report: ReportOptions, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        let changeRunner = ChangeRunner(in: context)
        let backend = try await used(changeRunner)
        let forgotten: [TemporaryEntry]
        do {
            let turn = try await changeRunner.client.takeTurn()
            defer { withExtendedLifetime(turn) {} }
            let entries = try await TemporaryEntries(backend, in: changeRunner.environment)
            forgotten = try await entries.remove(source)
            if forgotten.isEmpty {
                let others = try await entries.list().map { TemporaryReport($0).sentence }
                throw Failure(
                    .nothingPending, "There is no temporary entry for \(source).",
                    next: others.isEmpty
                        ? "nothing: there are none at all." : "name one of these: \(others.joined(separator: " "))")
            }
        } catch let error as ChangeError { throw Failure(error) } catch let error as Failure { throw error } catch {
            throw Failure(.failed, "\(error)")
        }
        let shown = ForgetReport(source: "\(source)", forgotten: forgotten.map(TemporaryReport.init))
        let text = shown.forgotten.map { Wrapping.text("Removed: \($0.statement).") }.joined()
        try context.console.result(report.json ? try shown.json() : text)
        return .done
    }

    /// The backend in which entries may be, also after the rules have gone.
    private static func used(_ changeRunner: ChangeRunner) async throws(Failure) -> Backend {
        if let backend = try await backend(changeRunner) { return backend }
        do {
            if let status = try await changeRunner.client.current() { return status.backend }
        } catch { throw Failure(error) }
        return try await changeRunner.backend()
    }

    /// All temporary entries of a backend; none where they cannot be read, so that `status` shows the rest.
    static func list(_ backend: Backend, in environment: ChangeEnvironment) async -> [TemporaryEntry] {
        (try? await TemporaryEntries(backend, in: environment).list()) ?? []
    }
}
