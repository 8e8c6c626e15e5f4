import Glibc
import Host
import Netfilter
import Policy

/// A throwaway server and the outside: two network namespaces of this kernel, connected by veth pairs; where the server
/// forwards packets to containers, a third one stands for those.
///
/// Only processes keep them alive. The server has its own process, mount and network namespaces; the kernel kills all
/// processes in both places when the stage is closed or its owner dies. Without root, both are inside a user namespace,
/// in which the caller is root.
package final class Stage: Sendable {
    /// One side of the stage.
    package enum Place: String, CaseIterable, Sendable {
        case server, outside, containers
    }

    /// The server's addresses and those from which the outside comes.
    package let addresses: StageAddresses
    private let tools: StageTools
    private let namespaces: StageNamespaces
    private let server: AgentProcess
    private let outside: AgentProcess
    /// Nil without containers.
    private let containers: AgentProcess?
    private let runner: any CommandRunner

    /// Creates the namespaces, connects them and assigns their addresses.
    ///
    /// - Parameters:
    ///   - agent: the command that calls `ProbeAgent.run`; its program an absolute path.
    ///   - tools: where unshare, nsenter and ip are.
    ///   - addresses: the addresses of the server and the outside.
    ///   - runner: runs `ip`.
    /// - Returns: the stage; it is closed with its last owner, or by `close`.
    /// - Throws: `forbidden` if no namespace can be created.
    package static func open(
        agent: [String], tools: StageTools, addresses: StageAddresses = .documentation,
        runner: any CommandRunner = SystemRunner()
    ) async throws(StageError) -> Stage {
        let (server, namespaces) = try await openServer(agent: agent, tools: tools)
        let outside = try await begin(namespaces.makeOutside(agent, tools), .outside, ownRun: false)
        var containers: AgentProcess?
        if !addresses.containers.isEmpty {
            containers = try await begin(namespaces.makeOutside(agent, tools), .containers, ownRun: false)
        }
        let stage = Stage(
            addresses: addresses, tools: tools,
            namespaces: namespaces.with(outside: outside.id, containers: containers?.id), server: server,
            outside: outside, containers: containers, runner: runner)
        try await stage.connect()
        return stage
    }

    private init(
        addresses: StageAddresses, tools: StageTools, namespaces: StageNamespaces, server: AgentProcess,
        outside: AgentProcess, containers: AgentProcess?, runner: any CommandRunner
    ) {
        self.addresses = addresses
        self.tools = tools
        self.namespaces = namespaces
        self.server = server
        self.outside = outside
        self.containers = containers
        self.runner = runner
    }

    // MARK: Working in it

    /// The command that runs another one in a place of the stage, as root of it.
    ///
    /// The folder is `/` there, and the stage has its own /run. The program must be an absolute path.
    package func enterCommand(_ words: [String], in place: Place = .server) -> [String] {
        namespaces.enter(place, words, tools)
    }

    /// The same command, with its input and limits, to be run in a place of the stage.
    package func enter(_ command: Command, in place: Place = .server) -> Command {
        let words = enterCommand(command.words, in: place)
        var entering = command
        entering.program = words[0]
        entering.arguments = Array(words.dropFirst())
        return entering
    }

    /// The process through which the kernel shows a place: `/proc/ID/ns/net` is its network namespace.
    package func processID(of place: Place) -> Int32 {
        switch place {
        case .server: server.id
        case .outside: outside.id
        case .containers: containers?.id ?? server.id
        }
    }

    /// The places of this stage.
    package var places: [Place] { Place.allCases.filter { $0 != .containers || containers != nil } }

    /// Gives the outside further addresses.
    package func addOutside(_ further: [IPAddress]) async throws(StageError) {
        let new = further.filter { !addresses.outside.contains($0) }
        try await batch(addresses.outsideScript(new), in: .outside)
        try await batch(addresses.wayBack(to: new), in: .server)
    }

    /// Gives the server the machine's settings of connection tracking.
    package func apply(_ settings: TrackingSettings) async throws(StageError) {
        guard !settings.values.isEmpty else { return }
        _ = try await ask(.set(values: settings.values), of: .server, within: .seconds(20))
    }

    /// Makes a place accept TCP connections and echo datagrams, on its own addresses or on the given ones.
    package func listen(
        in place: Place, tcp: [UInt16] = [], udp: [UInt16] = [], on own: [IPAddress]? = nil
    ) async throws(StageError) {
        let names = (own ?? addresses[place]).map(\.description)
        _ = try await ask(.listen(addresses: names, tcp: tcp, udp: udp), of: place, within: .seconds(20))
    }

    /// Closes all listeners of a place.
    package func stopListening(in place: Place) async throws(StageError) {
        _ = try await ask(.deafen, of: place, within: .seconds(20))
    }

    /// Makes attempts from a place, all at once.
    ///
    /// - Parameters:
    ///   - probes: the probes; their sources are addresses of that place.
    ///   - place: where they are sent from.
    ///   - patience: how long to wait for the silent ones together, after the last answer.
    /// - Returns: a result for every probe, in order.
    /// - Throws: `agent` if the agent fails.
    package func probe(
        _ probes: [Probe], from place: Place, patience: Duration = .milliseconds(400)
    ) async throws(StageError) -> [ProbeResult] {
        let milliseconds = Int(patience / .milliseconds(1))
        let reply = try await ask(
            .probe(probes: probes, patience: milliseconds), of: place, within: patience * 50 + .seconds(60))
        guard case .answers(let answers) = reply, answers.count == probes.count else {
            throw .agent(place: place, reason: "the answer does not match the request")
        }
        return zip(probes, answers).map { ProbeResult($0, $1.outcome, detail: $1.detail) }
    }

    /// Makes TCP connections that stay open, for probes of the kind `established` with the same ends.
    ///
    /// - Returns: a result for every connection, in order.
    /// - Throws: `agent` if the agent fails.
    package func hold(_ probes: [Probe], from place: Place) async throws(StageError) -> [ProbeResult] {
        let reply = try await ask(.hold(probes: probes), of: place, within: .seconds(20))
        guard case .answers(let answers) = reply, answers.count == probes.count else {
            throw .agent(place: place, reason: "the answer does not match the request")
        }
        return zip(probes, answers).map { ProbeResult($0, $1.outcome, detail: $1.detail) }
    }

    /// Ends everything that runs in the stage, and the stage.
    package func close() {
        containers?.end()
        outside.end()
        server.end()
    }

    // MARK: - Making it

    private static func openServer(
        agent: [String], tools: StageTools
    ) async throws(StageError) -> (AgentProcess, StageNamespaces) {
        // Root needs no user namespace, and in some containers has only that one.
        var refusal: StageError?
        for isUser in geteuid() == 0 ? [false, true] : [true] {
            let words = StageNamespaces.makeServer(agent, tools, inUserNamespace: isUser)
            do throws(StageError) {
                let process = try await begin(words, .server, ownRun: true)
                return (process, StageNamespaces(server: process.id, outside: nil, isUser: isUser))
            } catch {
                refusal = refusal ?? error
            }
        }
        throw refusal ?? .forbidden(command: [], message: "")
    }

    private static func begin(
        _ words: [String], _ place: Place, ownRun: Bool
    ) async throws(StageError)
        -> AgentProcess
    {
        do throws(AgentFailure) {
            let process = try AgentProcess(words)
            _ = try await process.ask(.begin(ownRun: ownRun), within: .seconds(20))
            return process
        } catch {
            throw .forbidden(command: words, message: error.reason)
        }
    }

    private func connect() async throws(StageError) {
        for interface in addresses.interfaces {
            let index = ["index", "\(addresses.index(of: interface))"]
            let join =
                ["link", "add", "name", interface] + index + ["type", "veth"]
                + ["peer", "name", addresses.outsideEnd(of: interface)] + index + ["netns", "\(outside.id)"]
            try await ip(namespaces.enterNetworkOfServer([tools.ip] + join, tools), input: "")
        }
        try await connectContainers()
        for place in places { try await batch(addresses.script(for: place), in: place) }
        for address in addresses[.server] { try await awaitPassage(to: address) }
        for group in addresses.containers {
            for family in Family.allCases {
                guard let member = group.members.first(where: { $0.family == family }),
                    let source = addresses[.server].first(where: { $0.family == family })
                else { continue }
                try await awaitPassage(Probe(.ping, from: source, to: member), from: .server)
            }
        }
    }

    private func connectContainers() async throws(StageError) {
        guard let containers else { return }
        for group in addresses.containers {
            let index = ["index", "\(addresses.index(of: group))"]
            let join =
                ["link", "add", "name", group.interface] + index + ["type", "veth"]
                + ["peer", "name", "eth\(addresses.index(of: group))"] + index + ["netns", "\(containers.id)"]
            try await ip(namespaces.enterNetworkOfServer([tools.ip] + join, tools), input: "")
        }
        for family in Family.allCases {
            let rules = addresses.containers.map { $0.rules(addresses.index(of: $0), family) }.joined()
            let option = family == .ipv4 ? "-4" : "-6"
            guard !rules.isEmpty else { continue }
            try await ip(namespaces.enter(.containers, [tools.ip, option, "-batch", "-"], tools), input: rules)
        }
        _ = try await ask(.forward, of: .server, within: .seconds(20))
    }

    /// Waits until packets pass: after "up", the kernel needs up to a second until a veth pair transmits.
    private func awaitPassage(to target: IPAddress) async throws(StageError) {
        guard let source = addresses.outside.first(where: { addresses.server.facing($0)?.address == target }) else {
            return
        }
        try await awaitPassage(Probe(.ping, from: source, to: target), from: .outside)
    }

    private func awaitPassage(_ ping: Probe, from place: Place) async throws(StageError) {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            if try await probe([ping], from: place, patience: .milliseconds(50)).allSatisfy(\.isAccepted) { return }
        }
        throw .agent(place: place, reason: "packets from \(ping.source) do not reach \(ping.target)")
    }

    private func batch(_ lines: String, in place: Place) async throws(StageError) {
        try await ip(namespaces.enter(place, [tools.ip, "-batch", "-"], tools), input: lines)
    }

    private func ip(_ words: [String], input: String) async throws(StageError) {
        do throws(HostError) {
            _ = try await runner.check(Command(words[0], Array(words.dropFirst()), input: Array(input.utf8)))
        } catch {
            throw .host(error)
        }
    }

    private func ask(
        _ request: AgentRequest, of place: Place, within limit: Duration
    ) async throws(StageError)
        -> AgentReply
    {
        do throws(AgentFailure) {
            let agent =
                switch place {
                case .server: server
                case .outside: outside
                case .containers: containers
                }
            guard let agent else { throw AgentFailure(reason: "the stage has no containers") }
            return try await agent.ask(request, within: limit)
        } catch {
            throw .agent(place: place, reason: error.reason)
        }
    }
}
