/// The interfaces from which containers and virtual machines of this server send: what comes in there does not come from
/// outside.
package enum ContainerInterfaces {
    /// Docker's networks that users make: `br-` and the twelve hexadecimal digits of the network.
    private static let userNetworks = "br-"

    /// The beginnings of their names.
    private static let prefixes = [
        userNetworks, "cali", "cni", "docker", "flannel", "incusbr", "lxc", "lxd", "podman", "veth", "virbr",
    ]

    /// The beginnings of the names, where this machine has these interfaces.
    ///
    /// - Parameter interfaces: the names of this machine's interfaces. Where one begins with `br-` and is not Docker's,
    ///   such as `br-lan`, the outside may come in there.
    /// - Returns: the beginnings.
    package static func prefixes(on interfaces: [String]) -> [String] {
        let isOutside = interfaces.contains { $0.hasPrefix(userNetworks) && !isOfDocker($0) }
        return isOutside ? prefixes.filter { $0 != userNetworks } : prefixes
    }

    private static func isOfDocker(_ name: String) -> Bool {
        let digits = name.dropFirst(userNetworks.count)
        return digits.count == 12 && digits.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }
}
