/// What starts services at boot on the system whose files lie under the layout's root.
package struct InitSystem: Sendable {
    /// Whether it is the system that runs now, and not one under another root.
    package var isOfThisMachine: Bool
    /// Whether systemd starts the services; another root is taken to be a system with systemd.
    package var isSystemd: Bool
    /// The unit files of this machine.
    package var units: SystemdUnits

    /// Whether systemd runs here and has to be told of changed unit files.
    package var isRunning: Bool { isOfThisMachine && isSystemd }

    /// The init system of a layout.
    ///
    /// - Parameters:
    ///   - layout: where the files lie.
    ///   - source: where this machine's facts are read.
    package init(_ layout: Layout, source: FactSource = FactSource()) {
        isOfThisMachine = layout.root.isEmpty
        isSystemd = !isOfThisMachine || SystemFacts(source).isSystemd
        units = SystemdUnits(source)
    }
}
