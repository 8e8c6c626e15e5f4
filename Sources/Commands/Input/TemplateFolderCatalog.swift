import Policy

extension TemplateFolder {
    /// The built-in service templates, and the templates of this folder, which replace built-in ones of the same name.
    ///
    /// - Throws: `Failure` with status 65 that lists every mistake.
    package func catalog() throws(Failure) -> TemplateCatalog {
        do {
            return try TemplateCatalog(files: services.map { TemplateCatalog.File(path: $0.name, text: $0.text) })
        } catch {
            throw Failure(error, in: "a template")
        }
    }
}

extension Failure {
    /// The failure for mistakes in a file; it lists each with its line.
    package init(_ errors: DataErrors, in what: String) {
        let count = errors.mistakes.count
        self.init(
            .badData, (count == 1 ? "A mistake" : "\(count) mistakes") + " in \(what):\n\(errors.description)",
            activeRules: Self.nothingChanged, next: "correct the file and try again.")
    }
}
