import FoundationEssentials

/// A request from the owner of a stage to the agent inside a namespace: one line of JSON, answered by one line.
enum AgentRequest: Codable, Equatable {
    /// Answer once, to show that the namespace is ready; optionally with its own /run.
    case begin(ownRun: Bool)
    /// Forward packets of both families in this network.
    case forward
    /// Give settings of the kernel, as files under /proc/sys, these values in this network.
    case set(values: [String: String])
    /// Accept TCP connections and echo datagrams on all of these addresses and ports, in addition to the previous ones.
    case listen(addresses: [String], tcp: [UInt16], udp: [UInt16])
    /// Stop listening on all of them.
    case deafen
    /// Make these TCP connections and keep them open, for probes of the kind `established`.
    case hold(probes: [Probe])
    /// Make these attempts, all at once; the silent ones share one wait of `patience` milliseconds.
    case probe(probes: [Probe], patience: Int)
}

/// A reply from the agent.
enum AgentReply: Codable, Equatable {
    case done
    /// The result of each probe, in the order of the request.
    case answers(results: [AgentAnswer])
    /// The request was not understood or could not be carried out.
    case failed(reason: String)
}

/// The result of one probe; the owner knows which one.
struct AgentAnswer: Codable, Equatable {
    var outcome: ProbeOutcome
    var detail: String?
}

/// Messages as lines.
enum AgentLine {
    static let end = UInt8(ascii: "\n")

    /// A message as one line with its line end.
    static func encode(_ message: some Encodable) throws -> [UInt8] {
        // JSONEncoder writes no line break unless it is told to pretty-print.
        try Array(JSONEncoder().encode(message)) + [end]
    }

    /// A message from a line without its line end.
    static func decode<Message: Decodable>(_ type: Message.Type, from line: some Sequence<UInt8>) throws -> Message {
        try JSONDecoder().decode(type, from: Data(line))
    }
}
