import Host
import Netfilter
import SafeApply

extension Examination {
    /// The published ports of containers, whose packets bypass INPUT.
    func published(_ options: BackendOptions) async -> [Finding] {
        let chosen = try? await backend(options)
        let iptables = chosen == .nftables ? nil : chosen
        let kernel = try? await LiveRules(
            backend: iptables, families: environment.families, toolbox: toolbox, runner: environment.runner)
        let live = try? await kernel?.readAll()
        let services = await PublishedServices(live: live, in: environment)
        guard !services.ports.isEmpty else { return [] }
        let table = try? await LiveTables(toolbox: toolbox, runner: environment.runner).read([.latchkey]).first
        let isLimited =
            table?.chains.contains { $0.hook?.contains(" hook forward ") ?? false } == true
            || (live?.present ?? []).contains { $0.value["filter"]?.chain(PublishedChains.own) != nil }
        var seen: Set<String> = []
        // The output can be pasted into a bug report: no addresses.
        let names = services.ports.map { port in
            "\(port.ports)" + (services.containers.name(of: port).map { " (container \($0))" } ?? "")
                + (port.isLocalOnly ? " (this machine only)" : "")
        }.filter { seen.insert($0).inserted }
        let list = names.joined(separator: ", ")
        guard !isLimited, services.ports.contains(where: { !$0.isLocalOnly }) else {
            return [.ok("published", list + (isLimited ? ": the answers decide who can reach them" : ""))]
        }
        return [
            .found(
                .note, "published", "\(list): open to everyone, as Docker has it; they bypass INPUT.",
                remedy: "To let the answers decide about them, answer docker: answers.")
        ]
    }
}
