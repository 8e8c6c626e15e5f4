/// OpenRC's services, read as files: what is started at boot, and with which settings.
package struct OpenRCServices: Sendable {
    package let source: FactSource

    /// The runlevels that a boot passes after the file systems are mounted, in order; others are for shutdown or repair.
    package static let bootLevels = ["boot", "default"]

    package init(_ source: FactSource = FactSource()) { self.source = source }

    /// Whether OpenRC is installed: the interpreter of its scripts exists.
    package var isInstalled: Bool { source.resolves("/sbin/openrc-run") }

    /// The runlevels of a boot that start a service.
    ///
    /// A link that outlives its script starts nothing.
    ///
    /// - Parameter service: the name of the service.
    /// - Returns: the names of the runlevels, in the order of the boot.
    package func levels(of service: String) -> [String] {
        guard source.resolves("/etc/init.d/\(service)") else { return [] }
        return Self.bootLevels.filter { source.exists("/etc/runlevels/\($0)/\(service)") }
    }

    /// Whether a service is started.
    package func isStarted(_ service: String) -> Bool { source.exists("/run/openrc/started/\(service)") }

    /// The value of a setting of a service.
    ///
    /// - Parameters:
    ///   - key: the name of the variable.
    ///   - service: the name of the service.
    /// - Returns: the value without quotes, or nil.
    package func setting(_ key: String, of service: String) -> String? {
        source.assignment(to: key, in: "/etc/conf.d/\(service)")
    }
}
