/// What kind of system this is: its first process, container or not, and which start of the kernel.
package struct SystemFacts: Sendable, Equatable {
    /// Whether systemd is the first process, as sd_booted(3) finds out.
    package let isSystemd: Bool
    /// The kind of container this seems to be, or `nil`.
    package let container: String?
    /// The kernel's name for this start of the machine, or `nil` when it does not say.
    package let bootID: String?

    /// Reads files only.
    package init(_ source: FactSource = FactSource()) {
        isSystemd = source.isDirectory("/run/systemd/system")
        bootID = source.procLines("sys/kernel/random/boot_id")?.first.map(String.init)
        container = Self.container(source)
    }

    /// The places that systemd-detect-virt(1) looks at.
    private static func container(_ source: FactSource) -> String? {
        if let named = source.lines("/run/systemd/container")?.first { return String(named) }
        if let named = ProcessTable(source).environment(of: 1)?["container"], !named.isEmpty { return named }
        if source.exists("/run/.containerenv") { return "podman" }
        if source.exists("/.dockerenv") { return "docker" }
        let kernel = source.procLines("sys/kernel/osrelease")?.first?.lowercased() ?? ""
        return kernel.contains("microsoft") ? "wsl" : nil
    }
}
