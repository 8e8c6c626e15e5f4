/// What starts services at boot on the system whose files are under the layout's root.
package struct InitSystem: Sendable {
    /// Whether it is the system that runs now, and not one under another root.
    package var isOfThisMachine: Bool
    /// Whether systemd starts the services; systems under another root are assumed to use it unless they have OpenRC.
    package var isSystemd: Bool
    /// Whether OpenRC starts the services.
    package var isOpenRC: Bool
    /// systemd's unit files of the system.
    package var units: SystemdUnits
    /// OpenRC's services of the system.
    package var services: OpenRCServices

    /// Whether systemd runs here and has to be notified of changed unit files.
    package var isRunning: Bool { isOfThisMachine && isSystemd }

    /// The init system of a layout.
    ///
    /// - Parameters:
    ///   - layout: where the files are.
    ///   - source: where this machine's facts are read.
    package init(_ layout: Layout, source: FactSource = FactSource()) {
        isOfThisMachine = layout.root.isEmpty
        let files = isOfThisMachine ? source : FactSource(root: layout.root)
        units = SystemdUnits(files)
        services = OpenRCServices(files)
        // A machine that systemd has booted may have OpenRC installed beside it.
        isOpenRC = services.isInstalled && !(isOfThisMachine && SystemFacts(source).isSystemd)
        isSystemd = isOfThisMachine ? SystemFacts(source).isSystemd : !isOpenRC
    }
}
