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
        let machine = machine.naming(source.interfaces)
        let ssh = machine.usedSSHPorts.map { PortSpec(range: PortRange($0), transport: .tcp) }
        var context = FilterWalk.Context(ssh: Traffic(ssh), caller: machine.caller)
        func read() -> [FamilyAccess] {
            machine.families.compactMap { family in
                FamilyAccess(source, machine.viewpoints(family), guests: machine.guestViewpoints(family), context)
            }
        }
        var families = read()
        // What the answers block does not narrow what the rules behind it allow.
        let blocked = families.flatMap { family in
            family.blockable.filter { !family.unblockable.contains($0.source) }
        }
        if !blocked.isEmpty {
            context.blocked = Set(blocked.map(\.source))
            families = read()
        }
        guard families.contains(where: { $0.access != .open }) else { return nil }
        var builder = AnswersBuilder(families, blocked: blocked, catalog: catalog, machine: machine)
        var result = builder.result()
        let named = Set(source.interfaces).filter { (try? InterfaceName(parsing: $0)) != nil }
        result.interfaces = named.filter { !ImportMachine.isForGuests($0) }.sorted()
        for family in machine.families where !families.contains(where: { $0.family == family }) {
            result.notes.append(
                "\(family.title) was not filtered. The answers hold for \(family.title) too: what they don't allow is "
                    + "blocked.")
        }
        return result
    }
}
