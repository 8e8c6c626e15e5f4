import Policy

extension TemplateFolder {
    /// The built-in service templates, and this folder's over them.
    ///
    /// - Throws: `Failure` with status 65 that holds every mistake.
    package func catalog() throws(Failure) -> TemplateCatalog {
        do {
            return try TemplateCatalog(files: services.map { TemplateCatalog.File(path: $0.name, text: $0.text) })
        } catch {
            throw Failure(error, in: "a template")
        }
    }
}

extension Failure {
    /// What mistakes in a file mean to the user: every one with its line, and nothing done.
    package init(_ errors: DataErrors, in what: String) {
        let count = errors.mistakes.count
        self.init(
            .badData, (count == 1 ? "A mistake" : "\(count) mistakes") + " in \(what):\n\(errors.description)",
            inForce: Self.nothingChanged, next: "mend the file and try again.")
    }
}
