/// What starts services at boot on the system whose files are under the layout's root.
package struct InitSystem: Sendable {
    /// Whether it is the system that runs now, and not one under another root.
    package var isOfThisMachine: Bool
    /// Whether systemd starts the services; systems under another root are assumed to use systemd.
    package var isSystemd: Bool
    /// The unit files of this machine.
    package var units: SystemdUnits

    /// Whether systemd runs here and has to be notified of changed unit files.
    package var isRunning: Bool { isOfThisMachine && isSystemd }

    /// The init system of a layout.
    ///
    /// - Parameters:
    ///   - layout: where the files are.
    ///   - source: where this machine's facts are read.
    package init(_ layout: Layout, source: FactSource = FactSource()) {
        isOfThisMachine = layout.root.isEmpty
        isSystemd = !isOfThisMachine || SystemFacts(source).isSystemd
        units = SystemdUnits(source)
    }
}
