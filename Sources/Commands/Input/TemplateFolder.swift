import Glibc
import Host

/// The administrator's own templates, from a folder that nobody else may write.
package struct TemplateFolder: Equatable, Sendable {
    /// Service templates (`NAME.yaml`), each with its path.
    package var services: [NamedText] = []
    /// Rule templates (`NAME.mustache`), each with its path.
    package var rules: [NamedText] = []

    /// No templates but the built-in ones.
    package init() {}

    /// Reads a folder, and in it `services` and `rules`, as the built-in templates are laid out.
    ///
    /// Whatever is a symbolic link is refused, so that none can lead out. Files of other kinds are left alone.
    ///
    /// - Throws: `Failure` with status 65 when the folder or a file in it is not root's (or the caller's own), others
    ///   may write it, or it is not text.
    package init(reading folder: String, in context: CommandContext) throws(Failure) {
        let files: [(path: String, bytes: [UInt8])]
        do {
            files = try Self.trustedFiles(in: folder)
        } catch {
            throw Self.failure(error)
        }
        for (path, bytes) in files {
            let template = try NamedText(name: path, bytes: bytes)
            if path.hasSuffix(".yaml") { services.append(template) } else { rules.append(template) }
        }
    }

    private static func trustedFiles(in folder: String) throws(HostError) -> [(path: String, bytes: [UInt8])] {
        var files: [(path: String, bytes: [UInt8])] = []
        for place in [folder, folder + "/services", folder + "/rules"]
        where place == folder || SecureFiles.exists(place) {
            try SecureFiles.requireTrusted(place, kind: S_IFDIR, name: "folder")
            for name in try SecureFiles.names(in: place)
            where !name.hasPrefix(".") && (name.hasSuffix(".yaml") || name.hasSuffix(".mustache")) {
                let path = "\(place)/\(name)"
                files.append((path, try SecureFiles.readTrusted(path, limit: NamedText.limit)))
            }
        }
        return files
    }

    /// Every template that cannot be trusted or read is bad data, with its path.
    private static func failure(_ error: HostError) -> Failure {
        switch error {
        case .insecure:
            Failure(
                .badData, error.description, inForce: Failure.nothingChanged,
                next: "templates decide about the firewall: let root own them, and nobody else write them.")
        case .file(let path, _, EFBIG):
            Failure(
                .badData, "\(path): longer than \(NamedText.limit >> 20) MiB; this is no template.",
                inForce: Failure.nothingChanged)
        default:
            Failure(.badData, error.description, inForce: Failure.nothingChanged)
        }
    }
}

extension TemplateOptions {
    /// Reads the folder that was named, else the administrator's, which need not be there.
    ///
    /// - Throws: `Failure`: 64 when the named folder is not there, 65 when templates are not to be trusted.
    package func read(in context: CommandContext) throws(Failure) -> TemplateFolder {
        guard var folder else {
            return SecureFiles.exists(context.layout.templates)
                ? try TemplateFolder(reading: context.layout.templates, in: context) : TemplateFolder()
        }
        // With a slash at its end, or a slash and a dot, the kernel would follow a link.
        while folder.count > 1, folder.hasSuffix("/") || folder.hasSuffix("/.") { folder.removeLast() }
        guard SecureFiles.exists(folder) else {
            throw Failure(
                .usage, "--template-dir: \"\(folder)\" is not there.", inForce: Failure.nothingChanged,
                next: "name a folder with templates, or leave the option out.")
        }
        return try TemplateFolder(reading: folder, in: context)
    }
}
