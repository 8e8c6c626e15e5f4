import Templates

/// All service templates: the built-in ones, and the administrator's, which replace built-in ones of the same name.
package struct TemplateCatalog: Equatable, Sendable {
    /// A template's file as the administrator wrote it; its owner was checked when it was read.
    package struct File: Equatable, Sendable {
        /// Its path.
        package let path: String
        /// Its content.
        package let bytes: [UInt8]

        package init(path: String, bytes: [UInt8]) {
            self.path = path
            self.bytes = bytes
        }

        package init(path: String, text: String) {
            self.init(path: path, bytes: Array(text.utf8))
        }
    }

    private let templates: [String: ServiceTemplate]

    /// The built-in templates, and the administrator's files, which replace built-in ones.
    ///
    /// - Parameter files: each named after its service, `NAME.yaml`.
    /// - Throws: every mistake in every file at once.
    package init(files: [File] = []) throws(DataErrors) {
        var (templates, found) = Self.builtInTemplates
        var paths: [String: String] = [:]
        for file in files {
            let name = Self.stem(file.path)
            if let earlier = paths.updateValue(file.path, forKey: name) {
                found.append(
                    Mistake(
                        file: file.path, line: 1, text: name,
                        message: "\(name.quoted) is already described in \(earlier.quoted).",
                        remedy: "Delete one of the two files."))
            }
            Self.add(file, origin: .file(file.path), to: &templates, found: &found)
        }
        guard found.isEmpty else { throw DataErrors(found) }
        self.templates = templates
    }

    /// The templates inside the binary.
    ///
    /// - Throws: mistakes in them, which a test rules out.
    package static func builtIn() throws(DataErrors) -> TemplateCatalog {
        try TemplateCatalog()
    }

    /// Those inside the binary, read once, and their mistakes.
    private static let builtInTemplates: ([String: ServiceTemplate], [Mistake]) = {
        var templates: [String: ServiceTemplate] = [:]
        var found: [Mistake] = []
        for file in Templates.services {
            add(
                File(path: "templates/services/\(file.name)", bytes: file.bytes), origin: .builtIn, to: &templates,
                found: &found)
        }
        return (templates, found)
    }()

    /// The template with that name.
    package subscript(name: String) -> ServiceTemplate? { templates[name] }

    /// All templates, group by group and by name within one.
    package var all: [ServiceTemplate] {
        let order = Dictionary(
            uniqueKeysWithValues: ServiceTemplate.Group.allCases.enumerated().map { ($0.element, $0.offset) })
        return templates.values.sorted { left, right in
            (order[left.group] ?? 0, left.name) < (order[right.group] ?? 0, right.name)
        }
    }

    /// All names in alphabetical order.
    package var names: [String] { templates.keys.sorted() }

    private static func add(
        _ file: File, origin: ServiceTemplate.Origin, to templates: inout [String: ServiceTemplate],
        found: inout [Mistake]
    ) {
        var mistakes = Mistakes(file: file.path)
        let template = ServiceTemplate.read(
            file.bytes, expectedName: stem(file.path), origin: origin, mistakes: &mistakes)
        found += mistakes.sorted
        if let template { templates[template.name] = template }
    }

    /// The last part of a path without `.yaml`.
    private static func stem(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.hasSuffix(".yaml") ? String(name.dropLast(5)) : name
    }
}

extension TemplateCatalog {
    /// The names that an answers file may choose from.
    package var serviceNames: ServiceNames { ServiceNames(names) }
}

extension AnswersFile {
    /// The answers in a file's bytes, with the catalog's services.
    ///
    /// - Throws: every mistake at once.
    package static func parse(_ bytes: [UInt8], file: String, catalog: TemplateCatalog) throws(DataErrors) -> Answers {
        try parse(bytes, file: file, services: catalog.serviceNames)
    }

    /// The answers in a text, with the catalog's services.
    ///
    /// - Throws: every mistake at once.
    package static func parse(_ text: String, file: String, catalog: TemplateCatalog) throws(DataErrors) -> Answers {
        try parse(text, file: file, services: catalog.serviceNames)
    }
}
