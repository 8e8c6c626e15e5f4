import Composer
import Host
import Netfilter
import Policy
import SafeApply

/// From answers to rules: the catalog, the rule templates, and the ports sshd listens on here.
struct Planner: Sendable {
    /// The service templates known here.
    let catalog: TemplateCatalog
    /// The ports sshd listens on; empty when nobody could find out.
    let sshPorts: [UInt16]
    private let composer: Composer

    /// Reads the templates and asks sshd.
    ///
    /// - Throws: `Failure` with status 65 for templates that are not to be trusted or wrong.
    init(_ templates: TemplateOptions, in context: CommandContext) async throws(Failure) {
        let folder = try templates.read(in: context)
        // Both are looked at before either is refused: every mistake is told at once.
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
    /// - Throws: `Failure` with status 65 that holds every mistake.
    func answers(_ file: NamedText) throws(Failure) -> Answers {
        do {
            let files = AddressFiles(beside: file)
            return try AnswersFile.parse(
                file.text, file: file.name, services: catalog.serviceNames
            ) { (path) throws(AddressFileError) in try files.read(path) }
        } catch { throw Failure(error, in: "the answers") }
    }

    /// What the answers mean.
    ///
    /// - Throws: `Failure` with status 65 for answers that no template bears out.
    func plan(_ answers: Answers) throws(Failure) -> Plan {
        do {
            return try Plan(answers: answers, catalog: catalog, sshPorts: sshPorts)
        } catch { throw Failure(.badData, error.description, inForce: Failure.nothingChanged) }
    }

    /// The rules of a plan.
    ///
    /// - Throws: `Failure` with status 65 when a rule template makes something else of it.
    func rules(_ plan: Plan) throws(Failure) -> ComposedRules {
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

    private func compose(
        _ plan: Plan, _ family: Family
    ) -> Result<(rules: RuleSet, sets: [AddressSet]), ComposerError> {
        Result { () throws(ComposerError) in try composer.composeWithSets(plan, family: family) }
    }
}

extension Console {
    /// Says what a plan opens to nobody: without a rule of its own nothing would tell of it.
    func tellUnreachable(of plan: Plan) {
        for name in plan.unreachable {
            say(Wrapping.text("Note: \(name) is for the admins, and there are none: nobody can reach it."))
        }
    }
}

extension TemplateFolder {
    /// The built-in rule templates, and this folder's over them.
    ///
    /// - Throws: `Failure` with status 65 that holds every mistake.
    func composer(usesSets: Bool = true) throws(Failure) -> Composer {
        var templates: [String: RuleTemplate] = [:]
        for file in rules {
            let name = SecureFiles.name(of: file.name)
            let template = RuleTemplate(path: file.name, text: file.text)
            let other = templates.updateValue(template, forKey: String(name.dropLast(".mustache".count)))
            guard let other else { continue }
            throw Failure(
                .badData, "\(file.name): \(other.path) is the same rule template.", inForce: Failure.nothingChanged,
                next: "keep one of the two.")
        }
        do { return try Composer(ruleTemplates: templates, usesSets: usesSets) } catch { throw Failure(error) }
    }
}

extension Failure {
    /// What a mistake in a rule template means to the user.
    init(_ error: ComposerError) {
        if case .needsSets = error {
            self.init(
                .missing, error.description, inForce: Self.nothingChanged, next: "apt-get install ipset")
            return
        }
        let count = if case .several(let errors) = error { "\(errors.count) mistakes" } else { "A mistake" }
        self.init(
            .badData, "\(count) in a rule template:\n\(error)", inForce: Self.nothingChanged,
            next: "mend the template, or take it away; the built-in one is used then.")
    }
}
