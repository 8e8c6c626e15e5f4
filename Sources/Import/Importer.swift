import Netfilter
import Policy

/// Turns the rules of another firewall program into answers.
package enum Importer {
    /// The answers that stand for what a program allows.
    ///
    /// - Parameters:
    ///   - source: the program's rules.
    ///   - catalog: the service templates.
    ///   - machine: the machine.
    /// - Returns: the answers, and what became of each rule; nil if the program allows everything.
    package static func answers(
        from source: some FilterSource, catalog: TemplateCatalog, machine: ImportMachine
    ) -> ImportResult? {
        let families = machine.families.compactMap { FamilyAccess(source, machine.viewpoints($0)) }
        guard families.contains(where: { $0.access != .open }) else { return nil }
        var builder = AnswersBuilder(families, catalog: catalog, machine: machine)
        var result = builder.result()
        for family in machine.families where !families.contains(where: { $0.family == family }) {
            result.notes.append(
                "\(family.title) was not filtered. The answers hold for \(family.title) too: what they don't allow is "
                    + "blocked.")
        }
        return result
    }
}
