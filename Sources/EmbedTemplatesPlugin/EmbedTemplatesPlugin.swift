import Foundation
import PackagePlugin

/// Makes the build embed every file of the folders in `templates`: a new template is one new file.
@main
struct EmbedTemplatesPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        guard let target = target.sourceModule else { return [] }
        let files = try ["services", "rules", "examples"].flatMap { folder in
            try FileManager.default.contentsOfDirectory(
                at: target.directoryURL.appending(path: folder), includingPropertiesForKeys: nil)
        }.filter { ["yaml", "mustache"].contains($0.pathExtension) }.sorted { $0.path < $1.path }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedTemplates.swift")
        return [
            .buildCommand(
                displayName: "Embed the templates", executable: try context.tool(named: "EmbedTemplates").url,
                arguments: [output.path] + files.map(\.path), inputFiles: files, outputFiles: [output])
        ]
    }
}
