import Netfilter
import Policy

/// The question "What does this server offer?".
struct ServicesQuestion: QuestionScript {
    /// Services that are always shown, because many servers offer them.
    static let common = ["web", "mail", "dns"]

    func title(_ context: QuestionContext) -> String { "What does this server offer?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        return screen.table(suggested(context).map { row($0, chosen: chosen, context) })
            + screen.paragraph(
                "For more, press Tab or type \"list\". To limit one: mail from 192.168.1.0/24", tone: .faint)
    }

    /// The services to show first: chosen ones, ones that listen on this machine, and the common ones.
    private func suggested(_ context: QuestionContext) -> [ServiceTemplate] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        let detected = context.discovery.detectedServices(context.catalog).map(\.name)
        let names =
            (context.catalog.all.map(\.name).filter { chosen.contains($0) || detected.contains($0) } + Self.common)
            .withoutRepeats
        return names.prefix(8).compactMap { context.catalog[$0] }
    }

    /// The names of all services, for `list`.
    ///
    /// A star marks services for administrators only.
    func list(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let groups = ServiceTemplate.Group.allCases.compactMap { group -> (term: String, meaning: String)? in
            let members = offered(context).filter { $0.group == group }
            guard !members.isEmpty else { return nil }
            return (
                group.rawValue,
                members.map { $0.name + ($0.defaultSource == .admins ? "*" : "") }.joined(separator: " ")
            )
        }
        return screen.definitions(groups)
            + screen.paragraph(
                "* administrators only, unless you add \"from\". For details: list mail, list databases",
                tone: .faint)
    }

    /// Details of the services that match a word: a name, a group, or a word from the title or summary.
    func list(_ word: String, _ context: QuestionContext, _ screen: Screen) -> [Line] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        let found = offered(context).filter { $0.matches(word) }
        guard !found.isEmpty else {
            return screen.paragraph(
                "No service matches \(word.quoted()). Type \"list\" to show all names.", tone: .mistake)
        }
        return screen.table(found.map { row($0, chosen: chosen, context) })
    }

    private func offered(_ context: QuestionContext) -> [ServiceTemplate] {
        context.catalog.all.filter { $0.name != "ssh" }
    }

    private func row(_ template: ServiceTemplate, chosen: Set<String>, _ context: QuestionContext) -> [String] {
        let mark = chosen.contains(template.name) ? "[x]" : "[ ]"
        let listeners = context.discovery.listeners(for: template).filter { !$0.loopbackOnly }
        let who = listeners.map { ($0.program ?? "something").shown }.withoutRepeats
        return [
            "\(mark) \(template.name)", template.title, template.ports.brief,
            who.isEmpty ? "" : "\(who.listed(limit: 2)) listen\(who.count == 1 ? "s" : "")",
        ]
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            A service is a name for the ports that a program needs: "web" is 80 and 443. Enter the services that \
            others may use. All other services are blocked for everyone except administrators, even if their \
            programs are running. Databases and control panels are open to administrators only, unless you add \
            "from". Your line replaces the whole list. Enter accepts the services marked [x]; at first, these are \
            the ones that are listening now.
            """)
            + screen.definitions(suggested(context).map { ($0.name, $0.summary) })
            + screen.examples(["web mail", "web, postgres from 192.168.1.0/24", "none"])
    }

    func proposal(_ context: QuestionContext) -> String {
        // Services for administrators only need no answer: administrators can reach every port.
        let names = context.discovery.detectedServices(context.catalog).filter { $0.defaultSource == .everyone }.map(
            \.name)
        return names.isEmpty ? "none" : names.joined(separator: " ")
    }

    func render(_ answers: Answers) -> String {
        if answers.services.isEmpty { return "none" }
        return answers.services.map { choice in
            ([choice.name] + (choice.from.map { ["from \($0.words)"] } ?? []) + (choice.limit.map { [$0.clause] } ?? []))
                .joined(separator: " ")
        }.joined(separator: ", ")
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var answers = context.answers
        if line.onlyWord == "none" {
            answers.services = []
            return answers
        }
        var reader = ServiceReader(context)
        for word in line.words { reader.read(word) }
        // A file with a limit of the service ssh is refused: it would have no effect.
        answers.services = try reader.finish().map { $0.name == "ssh" ? ServiceChoice("ssh", from: $0.from) : $0 }
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        context.catalog.all.map(\.name).filter { $0 != "ssh" } + [
            "from", "everyone", "admins", "limited", "none", "list",
        ]
    }

    func warnings(_ context: QuestionContext) -> [String] {
        var warnings: [String] = []
        let notListening = context.answers.services.compactMap { context.catalog[$0.name] }.filter {
            $0.name != "ssh" && context.discovery.listeners(for: $0).isEmpty
        }
        if !notListening.isEmpty, !context.discovery.listeners.isEmpty {
            warnings.append(
                "Nothing is listening for \(notListening.map(\.name).listed()) now. The ports will be open anyway.")
        }
        for choice in context.answers.services {
            guard let template = context.catalog[choice.name] else { continue }
            if choice.name == "ssh" {
                warnings.append("SSH is set at question 2. Naming it here changes nothing.")
                continue
            }
            let source = choice.from ?? template.defaultSource
            if source == .everyone, template.defaultSource == .admins {
                warnings.append("\(choice.name) would be open to everyone. It is meant for administrators only.")
            }
            if source == .admins, context.answers.admins.isEmpty {
                warnings.append("\(choice.name) is for administrators only, and there are none. Nobody could reach it.")
            }
            if case .networks(let networks) = source {
                warnings += networks.networks.compactMap { network in
                    network.excessiveSize.map { "\(choice.name): \(network.description) contains \($0)." }
                }
            }
        }
        return warnings
    }
}

/// Parses "web, mail from 192.168.1.0/24 10.0.0.1 dns limited".
///
/// What follows "from" belongs to the service before it.
private struct ServiceReader {
    private let context: QuestionContext
    private var catalog: TemplateCatalog { context.catalog }
    private var choices: [ServiceChoice] = []
    private var mistakes: [AnswerMistake.Part] = []
    private var clause: ClauseReader?

    init(_ context: QuestionContext) { self.context = context }

    mutating func read(_ word: String) {
        if clause?.read(word) == true { return }
        if clause == nil, ClauseReader.begins(word) {
            let example = word.lowercased() == "from" ? "mail from 192.168.1.0/24" : "web limited"
            mistakes.append(
                .init(text: word, message: "\(word.quoted()) needs a service before it, for example: \(example)"))
            return
        }
        finishClause()
        addService(word)
    }

    private mutating func addService(_ word: String) {
        let plain = word.lowercased()
        if catalog[plain] == nil {
            mistakes.append(.init(text: word, message: unknown(word)))
        } else if choices.contains(where: { $0.name == plain }) {
            mistakes.append(.init(text: word, message: "\(word.quoted()) appears twice."))
        } else {
            choices.append(ServiceChoice(plain))
            clause = ClauseReader(context, of: "service")
        }
    }

    private mutating func finishClause() {
        guard var ended = clause, !choices.isEmpty else { return }
        ended.finish()
        mistakes += ended.mistakes
        choices[choices.count - 1].from = ended.from
        choices[choices.count - 1].limit = ended.limit
        clause = nil
    }

    private func unknown(_ word: String) -> String {
        if word.lowercased() == "none" { return "\"none\" can't be combined with services. Remove one or the other." }
        if NetworkReader.looksLikeAddress(word) {
            return "\(word.quoted()) is not a service. Enter ports at the next question, addresses after \"from\"."
        }
        let plain = word.lowercased()
        let similar =
            catalog.all.map(\.name).filter { $0.hasPrefix(plain) || plain.hasPrefix($0) }
            + catalog.all.filter { $0.programs.contains(plain) || $0.matches(plain) }.map(\.name)
        if let name = similar.first { return "\(word.quoted()) is not a known service. Did you mean \"\(name)\"?" }
        return "\(word.quoted()) is not a known service. Type \"list\" to show them. Ports come next."
    }

    mutating func finish() throws(AnswerMistake) -> [ServiceChoice] {
        finishClause()
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        return choices
    }
}

extension ServiceTemplate {
    /// Whether a word in lower case is this service's name or group, or a word from its title or summary.
    fileprivate func matches(_ word: String) -> Bool {
        if name == word || name.hasPrefix("\(word)-") || group.rawValue == word { return true }
        return "\(title) \(summary)".lowercased().split { !$0.isLetter && !$0.isNumber }.contains { $0 == word }
    }
}

extension AnswerLine {
    /// The words of a question's default answer; empty if it can't be parsed.
    static func words(ofDefault question: Question, _ context: QuestionContext) -> [String] {
        (try? AnswerLine(parsing: question.defaultAnswer(context)))?.words ?? []
    }
}
