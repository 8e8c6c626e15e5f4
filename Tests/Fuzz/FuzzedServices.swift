import Netfilter

@testable import Policy

/// The reader of service templates: what it accepts has the promised form, and is read back from a plain file.
enum FuzzedServices {
    static func read(_ bytes: [UInt8]) {
        var mistakes = Mistakes(file: "fuzz")
        let template = ServiceTemplate.read(bytes, expectedName: name(in: bytes), origin: .builtIn, mistakes: &mistakes)
        require((template == nil) == !mistakes.isEmpty, "a template and mistakes, or neither: \(mistakes.sorted)")
        guard let template else { return FuzzedAnswers.check(DataErrors(mistakes.sorted), of: bytes) }

        require(ServiceTemplate.isName(template.name), "the name \(template.name)")
        require(template.ports == template.ports.sorted(), "ports in disorder")
        require(!template.ports.isEmpty || !template.protocols.isEmpty, "opens nothing")
        require(template.multicast.allSatisfy(\.isMulticast), "a group that is none")
        let texts = [template.title, template.summary, template.note, template.reference].compactMap(\.self)
        require((texts + template.programs).allSatisfy(\.isPrintable), "a control character in a text")

        let text = written(template)
        var others = Mistakes(file: "written")
        let again = ServiceTemplate.read(
            Array(text.utf8), expectedName: template.name, origin: .builtIn, mistakes: &others)
        require(again == template, "read as another one: \(others.sorted)\n\(text)")
    }

    /// The name in the first line that has one: the catalog takes it from the name of the file.
    private static func name(in bytes: [UInt8]) -> String {
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("name: ") }
        return line.map { String($0.dropFirst(6)) } ?? "fuzz"
    }

    private static func written(_ template: ServiceTemplate) -> String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        func list(_ items: [String]) -> String { "[\(items.map(quoted).joined(separator: ", "))]" }
        let lines = [
            "name: \(template.name)", "title: \(quoted(template.title))", "summary: \(quoted(template.summary))",
            "group: \(template.group.rawValue)", "ports: \(list(template.ports.map(\.description)))",
            "protocols: \(list(template.protocols.map(\.rawValue)))",
            "multicast: \(list(template.multicast.map(\.description)))", "source: \(template.audience.rawValue)",
            "programs: \(list(template.programs))", "listens: \(list(template.hintPorts.map(\.description)))",
            template.note.map { "note: \(quoted($0))" }, template.reference.map { "reference: \(quoted($0))" },
        ]
        return lines.compactMap(\.self).joined(separator: "\n") + "\n"
    }
}
