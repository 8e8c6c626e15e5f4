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
        let own = try? CIDR(source: source.address.family == .ipv4 ? "127.0.0.0/8" : "::1")
        guard own?.contains(source) != true else {
            throw Failure(
                .badData, "\(text.quoted()) is this server itself: its own connections are always allowed.",
                activeRules: Failure.nothingChanged)
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
                activeRules: Failure.nothingChanged, next: "name a service, or write a port as 8080/tcp.")
        }
        guard template.protocols.isEmpty else {
            let names = template.protocols.map { $0.rawValue.uppercased() }.joined(separator: " and ")
            throw Failure(
                .badData, "The service \(text) also needs \(names): only ports can be allowed for a while.",
                activeRules: Failure.nothingChanged,
                next: "allow everything from this source, or add it to the answers.")
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
        for admin in try await admins().networks where admin.contains(source) || source.contains(admin) {
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

    /// The admins of the kept answers, and of the answers of a pending change.
    ///
    /// - Throws: `Failure` with status 65 for answers that cannot be read.
    private func admins() async throws(Failure) -> UnblockedSources {
        let path = context.layout.answers
        var texts: [NamedText] = []
        if SecureFiles.exists(path) { texts.append(try NamedText(name: path, path: path, in: context)) }
        if let journal = try? JournalFile(layout: context.layout).read(), !journal.state.isFinal,
            let answers = journal.request.answers
        {
            texts.append(NamedText(name: "the pending answers", text: answers.text))
        }
        guard !texts.isEmpty else { return UnblockedSources() }
        let planner = try await Planner(templates, in: context)
        var lists: [AddressList] = []
        for text in texts { lists.append(try planner.answers(text).admins) }
        return UnblockedSources(CIDR.merged(lists.flatMap(\.all)), interfaces: lists.flatMap(\.interfaces))
    }

    // MARK: - Adding and removing

    /// Adds an entry and reports it.
    ///
    /// - Throws: `Failure` if the kernel or a tool does not make it.
    func add(_ entry: TemporaryEntry, _ report: ReportOptions) async throws(Failure) -> ProgramStatus {
        // Answers that are being edited stop no one from being allowed. No entry blocks an admin's address, but one may
        // block addresses behind an admin's interface: the interfaces stay as the rules have them.
        let known = try? await admins()
        let moved: [TemporaryEntry]
        let overlaps: [TemporaryEntry]
        do {
            let turn = try await changeRunner.client.takeTurn()
            defer { withExtendedLifetime(turn) {} }
            let entries = try await TemporaryEntries(backend, in: changeRunner.environment)
            overlaps = try await entries.list().filter { Self.overlap($0, entry) }
            try Self.requireEffect(entry, beside: overlaps)
            let admins: UnblockedSources
            if let known {
                admins = known
            } else {
                admins = UnblockedSources(interfaces: try await entries.unblockedInterfaces())
            }
            moved = try await entries.add(entry, admins: admins)
        } catch let error as ChangeError { throw Failure(error) } catch let error as Failure { throw error } catch {
            throw Failure(.failed, "\(error)")
        }
        let shown = TemporaryReport(entry)
        let sentence =
            shown.statement
            + (entry.secondsLeft.map { " for \(TemporaryReport.duration($0))." } ?? " until reboot.")
        try context.console.result(report.json ? try shown.json() : Wrapping.text(sentence))
        for earlier in moved {
            context.console.say(Wrapping.text("It replaces: \(TemporaryReport(earlier).sentence)"))
        }
        for overlap in overlaps { context.console.say(Wrapping.text(Self.note(overlap, beside: entry))) }
        if entry.secondsLeft == nil { context.console.say(Wrapping.text(Self.lasting(entry, context.layout.answers))) }
        return .done
    }

    /// Whether one of two entries allows and the other blocks, and they share addresses without being of the same source.
    private static func overlap(_ one: TemporaryEntry, _ other: TemporaryEntry) -> Bool {
        one.verdict != other.verdict && one.source != other.source
            && (one.source.contains(other.source) || other.source.contains(one.source))
    }

    /// Refuses to block what a larger network is allowed: what is allowed comes first.
    private static func requireEffect(_ entry: TemporaryEntry, beside overlaps: [TemporaryEntry]) throws(Failure) {
        let larger = overlaps.first { $0.opening == nil && $0.source.contains(entry.source) }
        guard entry.verdict == .block, let larger else { return }
        throw Failure(
            .badData,
            "\(entry.source) is in \(larger.source), which is allowed for a while: blocking it has no effect.",
            activeRules: Failure.nothingChanged, next: "first sudo latchkey forget \(larger.source)")
    }

    /// What an entry with the other verdict means for a new one.
    private static func note(_ overlap: TemporaryEntry, beside entry: TemporaryEntry) -> String {
        let (allowed, blocked) = entry.verdict == .allow ? (entry, overlap) : (overlap, entry)
        return "\(TemporaryReport(blocked).statement), but what is allowed comes first: "
            + "\(TemporaryReport(allowed).statement)."
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
        return
            "After a reboot it is gone. To make it last, add \(entry.source) \(place) in \(path) and run: sudo latchkey "
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
            guard !forgotten.isEmpty else {
                let others = try await entries.list().flatMap { entry in
                    Wrapping.lines(TemporaryReport(entry).sentence, first: "\n    ", rest: "\n      ")
                }
                throw Failure(
                    .nothingPending,
                    "There is no temporary entry for exactly \(source)"
                        + (others.isEmpty ? ", and none at all." : ". There are:" + others.joined()))
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
    ///
    /// - Throws: `Failure` if there is none.
    static func used(_ changeRunner: ChangeRunner) async throws(Failure) -> Backend {
        if let backend = try await backend(changeRunner) { return backend }
        do {
            if let status = try await changeRunner.client.current() { return status.backend }
        } catch { throw Failure(error) }
        return try await changeRunner.backend()
    }

    /// Refuses answers whose admins are blocked for a while.
    ///
    /// - Throws: `Failure` with status 65.
    static func requireUnblocked(
        _ admins: AddressList, _ backend: Backend, in environment: ChangeEnvironment
    ) async throws(Failure) {
        let blocked = await list(backend, in: environment).filter { $0.verdict == .block }.map(\.source)
        guard !blocked.isEmpty else { return }
        for admin in admins.all {
            guard let network = blocked.first(where: { $0.contains(admin) || admin.contains($0) }) else { continue }
            throw Failure(
                .badData, "The admin \(admin) is blocked for a while: \(network).", activeRules: Failure.nothingChanged,
                next: "sudo latchkey forget \(network)")
        }
        let earlier = try? await TemporaryEntries(backend, in: environment).blocking(admins.interfaces)
        guard let entry = earlier?.first else { return }
        throw Failure(
            .badData,
            "\(entry.source) was blocked for a while before admins came in through "
                + admins.interfaces.map(\.text).joined(separator: ", ") + ": it would block them.",
            activeRules: Failure.nothingChanged,
            next: "sudo latchkey forget \(entry.source); when the change is kept, block it again.")
    }

    /// What to say of entries whose rules another program has flushed; nil if they are in effect.
    static func trouble(
        _ entries: [TemporaryEntry], _ backend: Backend, in environment: ChangeEnvironment
    ) async -> String? {
        let isActive = try? await TemporaryEntries(backend, in: environment).areActive(entries)
        guard !entries.isEmpty, isActive == false else { return nil }
        return "The temporary entries are not in effect: another program removed their rules. \"latchkey allow\" or "
            + "\"latchkey block\" loads them again."
    }

    /// Says that the temporary entries of a backend go with its rules; nil if there are none.
    static func noteOfRemoval(_ backend: Backend, in environment: ChangeEnvironment) async -> String? {
        let count = await list(backend, in: environment).count
        guard count > 0 else { return nil }
        return (count == 1 ? "The temporary entry is" : "The \(count) temporary entries are")
            + " removed too when you keep this."
    }

    /// All temporary entries of a backend; none where they cannot be read, so that `status` shows the rest.
    static func list(_ backend: Backend, in environment: ChangeEnvironment) async -> [TemporaryEntry] {
        (try? await TemporaryEntries(backend, in: environment).list()) ?? []
    }
}
