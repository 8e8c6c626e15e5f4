import Foundation

/// Writes the templates into a Swift file, so that they are inside the binary.
///
/// Run by the build: the first argument is the output file, all others are templates in their folders.
@main
enum EmbedTemplates {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard let output = arguments.first else { return }
        var folders: [String: [String]] = [:]
        for path in arguments.dropFirst() {
            let file = URL(filePath: path)
            let folder = file.deletingLastPathComponent().lastPathComponent
            let text = try String(contentsOf: file, encoding: .utf8)
            folders[folder, default: []].append(
                "        EmbeddedFile(name: \"\(file.lastPathComponent)\", text: \(literal(text))),\n")
        }
        let lists = folders.sorted { $0.key < $1.key }.map { folder, files in
            "    static let \(folder)Folder: [EmbeddedFile] = [\n\(files.joined())    ]\n"
        }
        let source = "// Written by the build.\nextension Templates {\n\(lists.joined())}\n"
        try source.write(to: URL(filePath: output), atomically: true, encoding: .utf8)
    }

    /// A raw string with more number signs than any that follow a quotation mark or a backslash in the text.
    private static func literal(_ text: String) -> String {
        var signs = "#"
        while text.contains("\"\"\"\(signs)") || text.contains("\\\(signs)") { signs += "#" }
        // The line end before the closing quotation marks is not part of the text.
        return "\(signs)\"\"\"\n\(text)\n\"\"\"\(signs)"
    }
}
