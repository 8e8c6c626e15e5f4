import Host

/// The choice of a backend.
package enum ChosenBackend {
    /// The backend that a change uses.
    ///
    /// - Parameters:
    ///   - named: the one that the user named; nil for the backend of the last kept change, or else iptables where it is
    ///     installed, or else nftables.
    ///   - environment: the machine.
    /// - Throws: `toolMissing` if there is none.
    /// - Returns: the backend.
    package static func find(
        _ named: Backend?, in environment: ChangeEnvironment
    ) async throws(HostError) -> Backend {
        if let named { return named }
        if let kept = try? Persistence(environment).lastKept()?.backend { return kept }
        if environment.toolbox.find("iptables") == nil, environment.toolbox.find("nft") != nil { return .nftables }
        return try await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
    }
}
