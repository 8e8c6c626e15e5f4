import Host
import Netfilter
import Rehearsal
import TestSupport

/// The tests' stage: a server, and outside it an administrator, a stranger and another server of each family.
enum Scene {
    static let admins = ["192.168.1.33", "2001:db8:5::33"]
    static let strangers = ["198.51.100.7", "2001:db8:bad::7"]
    /// The destination of the server's own connections.
    static let others = ["203.0.113.53", "2001:db8:cafe::53"]

    static func open(outside: [String] = admins + strangers + others) async throws -> Stage {
        let addresses = StageAddresses.documentation.with(outside: try outside.map(IPAddress.init(parsing:)))
        return try await Stage.open(
            agent: [Latchkey.path, "probe-agent"], tools: try StageTools(Toolbox(layout: Layout(root: "/"))),
            addresses: addresses)
    }

    static func server(_ family: Family) throws -> IPAddress {
        try IPAddress(parsing: family == .ipv4 ? "192.0.2.2" : "2001:db8:2::2")
    }

    static func admin(_ family: Family) throws -> IPAddress {
        try IPAddress(parsing: admins[family == .ipv4 ? 0 : 1])
    }

    static func other(_ family: Family) throws -> IPAddress {
        try IPAddress(parsing: others[family == .ipv4 ? 0 : 1])
    }

    static func stranger(_ family: Family) throws -> IPAddress {
        try IPAddress(parsing: strangers[family == .ipv4 ? 0 : 1])
    }
}

extension Stage {
    /// Runs a tool on a host of the stage; it must succeed.
    @discardableResult
    func run(_ words: [String], input: String = "", in place: Place = .server) async throws -> String {
        let program = try Tool.path(words.first ?? "")
        return try await mustRun(enterCommand([program] + words.dropFirst(), in: place), input: Array(input.utf8))
    }

    /// Loads a rule set on the server.
    func load(_ rules: String, _ family: Family, _ backend: TestBackend) async throws {
        try await run([backend.tool(family.forTests, "restore"), "-w", "5"], input: rules)
    }

    /// Empties the neighbour tables: the next packet has to resolve its neighbours again.
    func forgetNeighbours() async throws {
        for place in Place.allCases {
            for family in ["-4", "-6"] {
                try await run(["ip", family, "neighbour", "flush", "dev", "eth0"], in: place)
            }
        }
    }

    /// A counter of the server's kernel, as named in /proc/net/snmp and snmp6.
    func icmpErrorsReceived(_ family: Family) async throws -> Int {
        if family == .ipv6 {
            let lines = try await run(["cat", "/proc/net/snmp6"]).split(separator: "\n")
            let line = lines.first { $0.hasPrefix("Icmp6InDestUnreachs") }
            return line.flatMap { Int($0.split(whereSeparator: \.isWhitespace).last ?? "") } ?? -1
        }
        let rows = try await run(["cat", "/proc/net/snmp"]).split(separator: "\n").filter { $0.hasPrefix("Icmp:") }
            .map { $0.split(separator: " ") }
        guard rows.count == 2, let column = rows[0].firstIndex(of: "InDestUnreachs") else { return -1 }
        return Int(rows[1][column]) ?? -1
    }
}

/// Retries until there is a value, for at most five seconds.
func eventually<Value>(_ find: () async throws -> Value?) async throws -> Value? {
    let end = ContinuousClock.now + .seconds(5)
    while ContinuousClock.now < end {
        if let value = try await find() { return value }
        try await Task.sleep(for: .milliseconds(20))
    }
    return nil
}

extension Family {
    var forTests: IPFamily { self == .ipv4 ? .ipv4 : .ipv6 }
}
