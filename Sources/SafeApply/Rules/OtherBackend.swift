import Host
import Netfilter

/// The iptables backends that a change does not use; packets pass the rules of all.
package enum OtherBackend {
    /// Refuses a change while the other backend filters incoming packets: its rules would stay active, unnoticed.
    ///
    /// - Parameters:
    ///   - chosen: the backend of the change.
    ///   - programs: the programs that the change takes over; their rules go.
    ///   - retirement: the kept rules that go with the change; nil if no other backend holds them.
    ///   - environment: the machine.
    /// - Throws: `host` with `bothBackends`.
    static func refuse(
        besides chosen: Backend, taking programs: Set<String>, retiring retirement: Retirement?,
        in environment: ChangeEnvironment
    ) async throws(ChangeError) {
        // A table of nftables has its place beside all others.
        guard chosen != .nftables else { return }
        if await isInUse(besides: chosen, taking: programs, retiring: retirement, in: environment) {
            throw .host(.bothBackends(chosen: chosen))
        }
    }

    /// Whether iptables of any backend holds rules, or a policy other than ACCEPT.
    package static func hasIPTables(in environment: ChangeEnvironment) async -> Bool {
        let tables = await nftTables(in: environment) ?? []
        for backend in Backend.iptables {
            for family in environment.families where mayHold(backend, family, tables, anyTable: true) {
                let rules = await rules(backend, family, in: environment)
                if !(rules?.normalized().tables.isEmpty ?? true) { return true }
            }
        }
        return false
    }

    /// Whether another iptables backend filters incoming packets too, apart from what goes.
    ///
    /// - Parameters:
    ///   - chosen: the backend of a change.
    ///   - programs: the programs that the change takes over; their rules go.
    ///   - retirement: the kept rules that go with the change; nil if no other backend holds them.
    ///   - environment: the machine.
    /// - Returns: whether it filters.
    package static func isInUse(
        besides chosen: Backend, taking programs: Set<String> = [], retiring retirement: Retirement? = nil,
        in environment: ChangeEnvironment
    ) async -> Bool {
        let retired = retirement.map { try? $0.removed() } ?? nil
        for other in Backend.iptables where other != chosen {
            let tables = other == .nft ? await nftTables(in: environment) : nil
            for family in environment.families where mayHold(other, family, tables) {
                guard var rules = await rules(other, family, in: environment) else { continue }
                if retirement?.backend == other, let gone = retired?[family] {
                    rules = RuleRemoval(gone).rest(of: rules)
                }
                let input = InputChain(of: programs.isEmpty ? rules : rules.withoutRules(of: programs))
                if input.policy != .accept || !input.rules.isEmpty { return true }
            }
        }
        return false
    }

    /// The tables of nf_tables, for both families with one process; nil if they cannot be listed.
    static func nftTables(in environment: ChangeEnvironment) async -> Set<String>? {
        try? await NFTables(toolbox: environment.toolbox, runner: environment.runner)?.names()
    }

    /// Running legacy tools loads their kernel modules; reading this file does not.
    static func mayHold(
        _ backend: Backend, _ family: Family, _ nftTables: Set<String>?, anyTable: Bool = false
    ) -> Bool {
        guard backend == .legacy else {
            let prefix = family == .ipv4 ? "ip " : "ip6 "
            return nftTables?.contains { anyTable ? $0.hasPrefix(prefix) : $0 == "\(prefix)filter" } ?? true
        }
        let path = family == .ipv4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names"
        guard let names = try? SecureFiles.read(path) else { return false }
        let tables = String(decoding: names, as: UTF8.self).split(separator: "\n")
        return anyTable ? !tables.isEmpty : tables.contains("filter")
    }

    /// The other backend's rules, or nil if its tools are not installed.
    static func rules(_ backend: Backend, _ family: Family, in environment: ChangeEnvironment) async -> RuleSet? {
        let live = try? await LiveRules(
            backend: backend, families: [family], toolbox: environment.toolbox, runner: environment.runner)
        return try? await live?.read(family)
    }
}
