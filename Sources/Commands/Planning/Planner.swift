import Composer
import Host
import Netfilter
import Policy
import SafeApply

/// Turns answers into rules, with the service catalog, the rule templates and sshd's ports.
struct Planner: Sendable {
    /// The available service templates.
    let catalog: TemplateCatalog
    /// The ports sshd listens on; empty if they are unknown.
    let sshPorts: [UInt16]
    private let composer: Composer

    /// Reads the templates and finds sshd's ports.
    ///
    /// - Throws: `Failure` with status 65 for templates that cannot be trusted or are wrong.
    init(_ templates: TemplateOptions, in context: CommandContext) async throws(Failure) {
        let folder = try templates.read(in: context)
        // Both are checked before either is refused, so that all mistakes are reported at once.
        let catalog = Result { () throws(Failure) in try folder.catalog() }
        let toolbox = Toolbox(layout: context.layout)
        let usesSets = toolbox.find("ipset") != nil
        let composer = Result { () throws(Failure) in try folder.composer(usesSets: usesSets) }
        if case .failure(var first) = catalog, case .failure(let second) = composer {
            first.what += "\n" + second.what
            throw first
        }
        self.catalog = try catalog.get()
        self.composer = try composer.get()
        let runner = SystemRunner()
        let sshd = toolbox.find("sshd")
        sshPorts = await SSHServer(context.facts).ports(sshd: sshd, runner: runner).ports
    }

    /// The answers in a file.
    ///
    /// - Throws: `Failure` with status 65 that lists every mistake.
    func answers(_ file: NamedText) throws(Failure) -> Answers {
        do {
            let files = AddressFiles(beside: file)
            return try AnswersFile.parse(
                file.text, file: file.name, services: catalog.serviceNames
            ) { (path) throws(AddressFileError) in try files.read(path) }
        } catch { throw Failure(error, in: "the answers") }
    }

    /// The plan for the answers.
    ///
    /// - Throws: `Failure` with status 65 for answers that name an unknown service.
    func plan(_ answers: Answers) throws(Failure) -> Plan {
        do {
            return try Plan(
                answers: answers, catalog: catalog, sshPorts: sshPorts, interfaces: ownAddresses().map(\.interface))
        } catch { throw Failure(.badData, error.description, activeRules: Failure.nothingChanged) }
    }

    /// The rules of a plan for a backend.
    ///
    /// - Throws: `Failure` with status 65 if a rule template produces something else.
    func rules(_ plan: Plan, for backend: Backend) throws(Failure) -> ComposedRules {
        if backend == .nftables {
            do { return ComposedRules(table: try composer.composeTable(plan)) } catch { throw Failure(error) }
        }
        let (ipv4, ipv6) = (compose(plan, .ipv4), compose(plan, .ipv6))
        let mistakes = [ipv4, ipv6].compactMap { if case .failure(let error) = $0 { error } else { nil } }
        if let error = ComposerError.together(mistakes) { throw Failure(error) }
        do {
            let (ipv4, ipv6) = (try ipv4.get(), try ipv6.get())
            return ComposedRules(
                rules: PerFamily(ipv4: ipv4.rules, ipv6: ipv6.rules),
                sets: (ipv4.sets + ipv6.sets).map(\.commands).joined())
        } catch { throw Failure(error) }
    }

    /// The rules of a plan as a table of nftables, whatever the backend.
    ///
    /// - Throws: `Failure` as `rules`.
    func table(_ plan: Plan) throws(Failure) -> NFTable? { try rules(plan, for: .nftables).table }

    private func compose(
        _ plan: Plan, _ family: Family
    ) -> Result<(rules: RuleSet, sets: [AddressSet]), ComposerError> {
        Result { () throws(ComposerError) in try composer.composeWithSets(plan, family: family) }
    }
}

extension Console {
    /// Warns about services that no address can reach: no rule in the plan mentions them.
    func warnAboutUnreachableServices(in plan: Plan) {
        for name in plan.unreachable {
            say(Wrapping.text("Note: only admins can reach \(name), and there are no admins."))
        }
    }

    /// Says what a person should know about the answers.
    func noteAnswers(in plan: Plan) {
        for note in plan.answers.notes {
            say(Wrapping.text("Note: \(note)"))
        }
    }
}

extension TemplateFolder {
    /// The built-in rule templates, and the templates of this folder, which replace built-in ones of the same name.
    ///
    /// - Throws: `Failure` with status 65 that lists every mistake.
    func composer(usesSets: Bool = true) throws(Failure) -> Composer {
        var templates: [String: RuleTemplate] = [:]
        for file in rules {
            let name = SecureFiles.name(of: file.name)
            let template = RuleTemplate(path: file.name, text: file.text)
            let other = templates.updateValue(template, forKey: String(name.dropLast(".mustache".count)))
            guard let other else { continue }
            throw Failure(
                .badData, "\(file.name): \(other.path) defines the same rule template.",
                activeRules: Failure.nothingChanged,
                next: "remove one of the two.")
        }
        do { return try Composer(ruleTemplates: templates, usesSets: usesSets) } catch { throw Failure(error) }
    }
}

extension Failure {
    /// The failure for mistakes in rule templates.
    init(_ error: ComposerError) {
        if case .needsSets = error {
            self.init(
                .missing, error.description, activeRules: Self.nothingChanged, next: "apt-get install ipset")
            return
        }
        let count = if case .several(let errors) = error { "\(errors.count) mistakes" } else { "A mistake" }
        self.init(
            .badData, "\(count) in a rule template:\n\(error)", activeRules: Self.nothingChanged,
            next: "correct the template, or remove it to use the built-in one.")
    }
}
