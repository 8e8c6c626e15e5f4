import Netfilter
import Policy

/// Compares the output of an administrator's templates with that of the built-in ones for the same plan, line by
/// line: every planned line, in order, and nothing else.
///
/// The built-in templates are the reference; tests check their output with packets.
struct ComposedCheck {
    /// A line that is required.
    private struct PlannedLine {
        let text: String
        /// The template that writes it.
        let template: RuleTemplateName
    }

    /// The output of the built-in templates.
    let planned: RenderedText
    /// The templates in use, by name.
    let templates: [String: RuleTemplate]
    /// Whether the text is for nft(8).
    var isForNFTables = false

    /// Everything that differs from the plan, each with the line of the template at fault.
    func mistakes(in text: RenderedText) -> [ComposerError] {
        let planned = plannedLines
        let wanted = planned.map { essence($0.text) }
        let difference = text.lines.map(essence).difference(from: wanted).inferringMoves()

        // Lines between the same two planned lines belong together: they replace each other.
        var lost: [(gap: Int, line: PlannedLine)] = []
        for (earlier, change) in difference.removals.enumerated() {
            guard case .remove(let offset, _, nil) = change else { continue }
            lost.append((offset - earlier, planned[offset]))
        }
        var mistakes: [ComposerError] = []
        var strange: Set<Int> = []
        for (earlier, change) in difference.insertions.enumerated() {
            guard case .insert(let offset, let essence, let moved) = change else { continue }
            strange.insert(offset)
            let (line, place) = (text.lines[offset], text.places[offset])
            let twin = lost.firstIndex { $0.gap == offset - earlier && path(of: $0.line.template) == place.path }
            if moved == nil, let twin {
                mistakes.append(.differs(line, planned: lost.remove(at: twin).line.text, at: place))
            } else if moved != nil || (wanted.contains(essence) && !line.isEmpty) {
                mistakes.append(.wrongOrder(line, at: includer(of: place)))
            } else {
                mistakes.append(stranger(line, at: place))
            }
        }
        let kept = text.lines.indices.filter { !strange.contains($0) }
        for (gap, line) in lost {
            let before = gap > 0 ? text.places[kept[gap - 1]] : nil
            let isBeside = before?.path == path(of: line.template)
            mistakes.append(missing(line, at: isBeside ? before : nil))
        }
        return mistakes
    }

    private var plannedLines: [PlannedLine] {
        let names = Dictionary(
            RuleTemplateName.allCases.map { (RuleTemplate.builtInPath("\($0.rawValue).mustache"), $0) }
        ) { first, _ in first }
        return zip(planned.lines, planned.places).map { line, place in
            PlannedLine(text: line, template: names[place.path] ?? .ruleset)
        }
    }

    /// A line without the parts that the administrator can choose; lines that are equal in this form count as the same.
    ///
    /// In a template, the administrator can choose how many packets a limit allows and what the log line looks like.
    /// Nothing else, not even the spelling: the kernel must print the same text.
    private func essence(_ line: String) -> String {
        if isForNFTables {
            return line.replacing(#/limit rate \d+\/\w+( burst \d+ \w+)?/#, with: "limit rate")
                .replacing(#/log( prefix "[^"]*"| level \w+| group \d+)*/#, with: "log")
        }
        guard var plain = try? Rule(parsing: line), plain.text == line else { return line }
        plain.matches = plain.matches.map { match in
            if case .limit = match { .limit(Match.Rate(1, per: .second)) } else { match }
        }
        if case .log = plain.target { plain.target = .log() }
        return plain.text
    }

    /// A line that does not replace a planned one: not a rule at all, or an extra one.
    private func stranger(_ line: String, at place: TemplatePlace) -> ComposerError {
        let isRule = !isForNFTables && !line.isEmpty && !["*", ":", "#"].contains(line.first)
        do throws(RuleSetError) {
            if isRule { _ = try Rule(parsing: line) }
        } catch {
            return .unreadable(error.at(file: place.path, line: place.line))
        }
        return .unplanned(line, at: place)
    }

    // MARK: - The template at fault

    private func path(of template: RuleTemplateName) -> String {
        templates[template.rawValue]?.path ?? template.rawValue
    }

    /// A missing planned line: `place` is that of the line before it, if its template wrote that.
    private func missing(_ line: PlannedLine, at place: TemplatePlace?) -> ComposerError {
        let name = line.template.rawValue
        guard [.ruleset, .nftables].contains(line.template) || include(name) != nil else {
            return .notIncluded(name, at: TemplatePlace(path: path(of: .ruleset), line: 1))
        }
        let first = templates[name]?.lines.firstIndex { $0.contains(isForNFTables ? " counter " : "-A ") } ?? 0
        return .missing(line.text, at: place ?? TemplatePlace(path: path(of: line.template), line: first + 1))
    }

    /// A built-in template writes its own rules in order: the template that includes it put it in the wrong place.
    private func includer(of place: TemplatePlace) -> TemplatePlace {
        guard let source = templates.first(where: { $0.value.path == place.path }), source.value.isBuiltIn,
            let line = include(source.key)
        else { return place }
        return TemplatePlace(path: path(of: .ruleset), line: line)
    }

    /// The last line of `ruleset` that includes a template.
    private func include(_ name: String) -> Int? {
        templates[RuleTemplateName.ruleset.rawValue]?.lines.lastIndex { line in
            line.replacing(" ", with: "").contains("{{>\(name)}}")
        }.map { $0 + 1 }
    }
}
