/// The value of a name in a rule template.
enum RuleTemplateValue: Equatable {
    case text(String)
    case flag(Bool)
    /// A section is written once per group, with the group's own values.
    case groups([[String: RuleTemplateValue]])
}

/// The output of the templates, line by line, with the origin of each line.
struct RenderedText {
    /// The lines, without their ends.
    private(set) var lines: [String] = []
    /// The origin of each line.
    private(set) var places: [TemplatePlace] = []
    /// The whole text.
    var text: String { lines.map { $0 + "\n" }.joined() }

    private let templates: [String: (path: String, parts: [RuleTemplatePart])]
    private var line = ""
    private var place: TemplatePlace

    /// Fills in templates.
    ///
    /// - Parameters:
    ///   - name: the first template; it includes the others.
    ///   - templates: by name; a missing one renders nothing.
    ///   - values: by the names that templates may use.
    init(
        rendering name: String, of templates: [String: (path: String, parts: [RuleTemplatePart])],
        with values: [String: RuleTemplateValue]
    ) {
        self.templates = templates
        place = TemplatePlace(path: templates[name]?.path ?? name, line: 1)
        include(name, [values])
    }

    private mutating func include(_ name: String, _ scopes: [[String: RuleTemplateValue]]) {
        guard let template = templates[name] else { return }
        render(template.parts, of: template.path, scopes)
    }

    /// The available values are `scopes`, those of the innermost section last.
    private mutating func render(
        _ parts: [RuleTemplatePart], of path: String, _ scopes: [[String: RuleTemplateValue]]
    ) {
        for part in parts {
            switch part {
            case .line(let number):
                if line.isEmpty { place = TemplatePlace(path: path, line: number) }
            case .text(let text): line += text
            case .lineEnd:
                lines.append(line)
                places.append(place)
                line = ""
            case .value(let name):
                if case .text(let text) = Self.value(name, scopes) { line += text }
            case .section(let name, let isInverted, let parts):
                let inner = Self.scopes(of: Self.value(name, scopes))
                if isInverted {
                    if inner.isEmpty { render(parts, of: path, scopes) }
                } else {
                    for scope in inner { render(parts, of: path, scopes + [scope]) }
                }
            case .include(let name): include(name, scopes)
            }
        }
    }

    private static func value(_ name: String, _ scopes: [[String: RuleTemplateValue]]) -> RuleTemplateValue? {
        scopes.reversed().lazy.compactMap { $0[name] }.first
    }

    /// The additional values inside a section, once for each time that it is written.
    private static func scopes(of value: RuleTemplateValue?) -> [[String: RuleTemplateValue]] {
        switch value {
        case nil, .flag(false): []
        case .flag(true): [[:]]
        case .text: value.map { [[".": $0]] } ?? []
        case .groups(let groups): groups
        }
    }
}
