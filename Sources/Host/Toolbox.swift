import Glibc

/// Finds programs in fixed system folders, because the caller's PATH is not trusted.
package struct Toolbox: Sendable {
    /// The folders that are searched, in order.
    package let folders: [String]

    /// The system's folders, preceded by the same folders under the layout's root.
    package init(layout: Layout) {
        let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"]
        let rooted = system.map(layout.path)
        folders = rooted == system ? system : rooted + system
    }

    /// The absolute path of a program, or nil if it is missing.
    package func find(_ name: String) -> String? {
        folders.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// The absolute path of a program.
    ///
    /// - Throws: `toolMissing` if it is missing.
    package func need(_ name: String) throws(HostError) -> String {
        guard let path = find(name) else { throw .toolMissing(name: name, lookedIn: folders) }
        return path
    }
}
