import Netfilter
import Policy

/// The question "What does this server offer?".
struct ServicesQuestion: QuestionScript {
    /// Shown even where nothing hints at them: what most servers are for.
    static let usual = ["web", "mail", "dns"]

    func title(_ context: QuestionContext) -> String { "What does this server offer?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        return screen.table(near(context).map { row($0, chosen: chosen, context) })
            + screen.paragraph("more: Tab, or \"list\"; limit one with \"mail from 192.168.1.0/24\"", tone: .faint)
    }

    /// The services that have to do with this machine, and the usual ones.
    private func near(_ context: QuestionContext) -> [ServiceTemplate] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        let hinted = context.discovery.hinted(context.catalog).map(\.name)
        let names = (context.catalog.all.map(\.name).filter { chosen.contains($0) || hinted.contains($0) } + Self.usual)
            .withoutRepeats
        return names.prefix(8).compactMap { context.catalog[$0] }
    }

    /// The names of every service there is, for `list`; a star marks what is for administrators only.
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
                "* for administrators, unless you say \"from\". More about some: list mail, list databases",
                tone: .faint)
    }

    /// What there is to say about the services that a word means: by name, by group, or by a word of the title.
    func list(_ word: String, _ context: QuestionContext, _ screen: Screen) -> [Line] {
        let chosen = Set(AnswerLine.words(ofDefault: .services, context))
        let found = offered(context).filter { $0.isMeant(by: word) }
        guard !found.isEmpty else {
            return screen.paragraph(
                "No service is known by \(word.quoted()). \"list\" shows all names.", tone: .mistake)
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
            A service is a name for the ports that a program needs: "web" is 80 and 443. Name those that others \
            shall reach; what you leave out is closed to everyone but the administrators, even while its program \
            runs. Databases and control panels are open to administrators only, unless you say "from". The line \
            you type is the whole list; Enter takes those marked [x], at first what listens here now.
            """)
            + screen.definitions(near(context).map { ($0.name, $0.summary) })
            + screen.examples(["web mail", "web, postgres from 192.168.1.0/24", "none"])
    }

    func proposal(_ context: QuestionContext) -> String {
        // What only administrators reach is open to them without a word.
        let names = context.discovery.hinted(context.catalog).filter { $0.defaultSource == .everyone }.map(\.name)
        return names.isEmpty ? "none" : names.joined(separator: " ")
    }

    func render(_ answers: Answers) -> String {
        if answers.services.isEmpty { return "none" }
        return answers.services.map { choice in
            choice.from.map { "\(choice.name) from \($0.words)" } ?? choice.name
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
        answers.services = try reader.finish()
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        context.catalog.all.map(\.name).filter { $0 != "ssh" } + ["from", "everyone", "admins", "none", "list"]
    }

    func warnings(_ context: QuestionContext) -> [String] {
        var warnings: [String] = []
        let deaf = context.answers.services.compactMap { context.catalog[$0.name] }.filter {
            $0.name != "ssh" && context.discovery.listeners(for: $0).isEmpty
        }
        if !deaf.isEmpty, !context.discovery.listeners.isEmpty {
            warnings.append("Nothing listens for \(deaf.map(\.name).listed()) here now: open all the same.")
        }
        for choice in context.answers.services {
            guard let template = context.catalog[choice.name] else { continue }
            if choice.name == "ssh" {
                warnings.append("SSH was question 2: its answer there alone decides.")
                continue
            }
            let source = choice.from ?? template.defaultSource
            if source == .everyone, template.defaultSource == .admins {
                warnings.append("\(choice.name) would be open to everyone: it is meant for administrators only.")
            }
            if source == .admins, context.answers.admins.isEmpty {
                warnings.append("\(choice.name) is for administrators, and there are none: nobody could reach it.")
            }
            if case .networks(let networks) = source {
                warnings += networks.networks.compactMap { network in
                    network.wideness.map { "\(choice.name): \(network.description) holds \($0)." }
                }
            }
        }
        return warnings
    }
}

/// Reads "web, mail from 192.168.1.0/24 10.0.0.1 dns": after "from", addresses belong to the service before it.
private struct ServiceReader {
    let catalog: TemplateCatalog
    private var choices: [ServiceChoice] = []
    private var mistakes: [AnswerMistake.Part] = []
    private let answers: Answers
    private var limits: NetworkReader
    private var isLimiting = false

    init(_ context: QuestionContext) {
        catalog = context.catalog
        answers = context.answers
        limits = NetworkReader(context.answers)
    }

    mutating func read(_ word: String) {
        let plain = word.lowercased()
        if plain == "from" {
            if isLimiting || choices.last?.from != nil {
                mistakes.append(
                    .init(text: word, message: "\"from\" stands twice for one service: name the service between."))
            } else if choices.isEmpty {
                mistakes.append(
                    .init(text: word, message: "\"from\" has no service before it, as in: mail from 192.168.1.0/24"))
            } else {
                isLimiting = true
                limits = NetworkReader(answers)
            }
        } else if isLimiting, NetworkReader.looksLikeAddress(word) {
            limits.read(word)
        } else if isLimiting, limits.isUntouched, plain == "everyone" || plain == "admins" {
            choices[choices.count - 1].from = plain == "admins" ? .admins : .everyone
            isLimiting = false
        } else {
            closeLimit()
            name(word)
        }
    }

    private mutating func name(_ word: String) {
        let plain = word.lowercased()
        if catalog[plain] == nil {
            mistakes.append(.init(text: word, message: unknown(word)))
        } else if choices.contains(where: { $0.name == plain }) {
            mistakes.append(.init(text: word, message: "\(word.quoted()) stands there twice."))
        } else {
            choices.append(ServiceChoice(plain))
        }
    }

    private mutating func closeLimit() {
        guard isLimiting else { return }
        isLimiting = false
        mistakes += limits.mistakes
        if limits.isUntouched {
            mistakes.append(
                .init(text: "from", message: "\"from\" lacks an address, \"admins\" or \"everyone\" behind it."))
        } else if !choices.isEmpty, !limits.networks.isEmpty {
            choices[choices.count - 1].from = .networks(AddressList(limits.networks))
        }
    }

    private func unknown(_ word: String) -> String {
        if word.lowercased() == "none" { return "\"none\" goes alone: leave it out, or leave the services out." }
        if NetworkReader.looksLikeAddress(word) {
            return "\(word.quoted()) is not a service. Ports are the next question; addresses follow \"from\"."
        }
        let plain = word.lowercased()
        let near =
            catalog.all.map(\.name).filter { $0.hasPrefix(plain) || plain.hasPrefix($0) }
            + catalog.all.filter { $0.programs.contains(plain) || $0.isMeant(by: plain) }.map(\.name)
        if let name = near.first { return "\(word.quoted()) is not a service known here. Did you mean \"\(name)\"?" }
        return "\(word.quoted()) is not a service known here. \"list\" shows them; ports are next."
    }

    mutating func finish() throws(AnswerMistake) -> [ServiceChoice] {
        closeLimit()
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        return choices
    }
}

extension ServiceTemplate {
    /// Whether a word, in lower case, is this service's name or group, or a word of what is said about it.
    fileprivate func isMeant(by word: String) -> Bool {
        if name == word || name.hasPrefix("\(word)-") || group.rawValue == word { return true }
        return "\(title) \(summary)".lowercased().split { !$0.isLetter && !$0.isNumber }.contains { $0 == word }
    }
}

extension NetworkReader {
    /// Whether no word was read yet.
    var isUntouched: Bool { networks.isEmpty && mistakes.isEmpty }
}

extension AnswerLine {
    /// The words of a question's default; none where it cannot be read.
    static func words(ofDefault question: Question, _ context: QuestionContext) -> [String] {
        (try? AnswerLine(parsing: question.defaultAnswer(context)))?.words ?? []
    }
}
