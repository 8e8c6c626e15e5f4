import TestSupport

/// The wizard on its own terminal, in a network namespace with one rule that belongs to no
/// known program, and its files in a folder.
struct WizardSession {
    let pty: Pty
    let server: NetworkNamespace
    let root: TemporaryFolder

    /// A namespace for one test or several sessions of it; all six questions are asked there.
    static func machine() async throws -> NetworkNamespace {
        let server = try await NetworkNamespace()
        try await server.mustRun(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8443", "-j", "ACCEPT"])
        return server
    }

    init(
        _ arguments: [String] = [], on machine: NetworkNamespace? = nil, root: TemporaryFolder? = nil,
        environment: [String: String] = [:], columns: UInt16 = 80
    ) async throws {
        if let machine { server = machine } else { server = try await Self.machine() }
        self.root = try root ?? TemporaryFolder()
        let words = try server.enterCommand([Latchkey.path, "setup"] + arguments)
        let variables = Latchkey.environment(root: self.root).merging(environment) { $1 }
        pty = try Pty(words[0], Array(words.dropFirst()), environment: variables, columns: columns)
    }

    /// Accepts the defaults of all questions before this one, and waits for its prompt.
    func reach(_ question: WizardQuestion) async throws {
        for other in WizardQuestion.allCases {
            try await pty.expect("\(other.number)/6  ", within: .seconds(20))
            try await pty.expect("\(other.rawValue) [")
            try await pty.expect("] > ")
            if other == question { return }
            try await pty.line("")
        }
    }

    /// Waits until a text is on the screen, regardless of what was expected before.
    func see(_ text: String) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while await !pty.screen.contains(text) {
            guard ContinuousClock.now < end else { throw PtyError.notSeen(text, screen: await pty.screen) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Accepts the defaults of all questions, and waits for the review.
    func reachReview() async throws {
        try await reach(.existing)
        try await pty.line("")
        try await pty.expect("quit [apply] > ", within: .seconds(30))
    }
}

/// The questions as the tests in this folder use them.
enum WizardQuestion: String, CaseIterable, Sendable {
    case admins, ssh, services, ports, ping, existing

    var number: Int { (Self.allCases.firstIndex(of: self) ?? 0) + 1 }

    /// A few words of the question's help text.
    var explained: String {
        switch self {
        case .admins: "gets full access: every port, ping, and every"
        case .ssh: "SSH is how you log in to this server."
        case .services: "A service is a name for the ports"
        case .ports: "A program waits for connections on a port, which is a number."
        case .ping: "has the state ESTABLISHED"
        case .existing: "fail2ban, VPNs and other programs add their own rules"
        }
    }

    /// A wrong answer, and the error message.
    var wrong: (typed: String, said: String) {
        switch self {
        case .admins: ("192.168.1.300", "\"192.168.1.300\" is not an address: 300 is more than 255.")
        case .ssh: ("everybody", "\"everybody\" is not valid. Use everyone, admins, an address or \"port 2222\".")
        case .services: ("webb", "\"webb\" is not a known service. Did you mean \"web\"?")
        case .ports: ("8080", "\"8080\" needs a protocol: 8080/tcp (most programs) or 8080/udp.")
        case .ping: ("some", "\"some\" is not valid. Use nobody, admins, limited or everyone.")
        case .existing: ("drop", "\"drop\" is not valid. Use keep or replace.")
        }
    }

    /// The beginning of a valid answer, and its Tab completion.
    var right: (typed: String, completed: String) {
        switch self {
        case .admins: ("no", "none")
        case .ssh: ("eve", "everyone")
        case .services: ("postg", "postgres")
        case .ports: ("no", "none")
        case .ping: ("lim", "limited")
        case .existing: ("ke", "keep")
        }
    }
}
