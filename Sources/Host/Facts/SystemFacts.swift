/// The kind of system: its first process, whether it is a container, and its boot ID.
package struct SystemFacts: Sendable, Equatable {
    /// Whether systemd is the first process, as determined by sd_booted(3).
    package let isSystemd: Bool
    /// The kind of container this seems to be, or `nil`.
    package let container: String?
    /// The kernel's ID of this boot, or `nil` if it is unknown.
    package let bootID: String?

    /// Reads files only.
    package init(_ source: FactSource = FactSource()) {
        isSystemd = source.isDirectory("/run/systemd/system")
        bootID = source.procLines("sys/kernel/random/boot_id")?.first.map(String.init)
        container = Self.container(source)
    }

    /// The places that systemd-detect-virt(1) checks.
    private static func container(_ source: FactSource) -> String? {
        if let named = source.lines("/run/systemd/container")?.first { return String(named) }
        if let named = ProcessTable(source).environment(of: 1)?["container"], !named.isEmpty { return named }
        if source.exists("/run/.containerenv") { return "podman" }
        if source.exists("/.dockerenv") { return "docker" }
        let kernel = source.procLines("sys/kernel/osrelease")?.first?.lowercased() ?? ""
        return kernel.contains("microsoft") ? "wsl" : nil
    }
}
