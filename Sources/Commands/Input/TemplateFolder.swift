import Glibc
import Host

/// The administrator's own templates, from a folder that only root (or the caller) can write.
package struct TemplateFolder: Equatable, Sendable {
    /// The service templates (`NAME.yaml`), each with its path.
    package var services: [NamedText] = []
    /// The rule templates (`NAME.mustache`), each with its path.
    package var rules: [NamedText] = []

    /// Creates an empty folder: only the built-in templates are used.
    package init() {}

    /// Reads a folder and its subfolders `services` and `rules`, the layout of the built-in templates.
    ///
    /// Symbolic links are refused, because they can point outside the folder. Other files are ignored.
    ///
    /// - Throws: `Failure` with status 65 when the folder or a file in it does not belong to root (or the caller), when
    ///   others can write it, or when it is not text.
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

    /// The failure for a template that cannot be trusted or read.
    private static func failure(_ error: HostError) -> Failure {
        switch error {
        case .insecure:
            Failure(
                .badData, error.description, activeRules: Failure.nothingChanged,
                next: "templates control the firewall: make root their owner, and let only root write them.")
        case .file(let path, _, EFBIG):
            Failure(
                .badData, "\(path): the file is larger than \(NamedText.limit >> 20) MiB.",
                activeRules: Failure.nothingChanged)
        default:
            Failure(.badData, error.description, activeRules: Failure.nothingChanged)
        }
    }
}

extension TemplateOptions {
    /// Reads the named folder, or else the administrator's, which may be missing.
    ///
    /// - Throws: `Failure`: 64 when the named folder does not exist, 65 when templates cannot be trusted.
    package func read(in context: CommandContext) throws(Failure) -> TemplateFolder {
        guard var folder else {
            return SecureFiles.exists(context.layout.templates)
                ? try TemplateFolder(reading: context.layout.templates, in: context) : TemplateFolder()
        }
        // With "/" or "/." at the end, the kernel would follow a symbolic link.
        while folder.count > 1, folder.hasSuffix("/") || folder.hasSuffix("/.") { folder.removeLast() }
        guard SecureFiles.exists(folder) else {
            throw Failure(
                .usage, "--template-dir: \"\(folder)\" does not exist.", activeRules: Failure.nothingChanged,
                next: "name a folder with templates, or omit the option.")
        }
        return try TemplateFolder(reading: folder, in: context)
    }
}
