import Host

/// The guard's socket: requests come in as lines of JSON, from root alone.
struct Inbox {
    /// A request and the connection it came by.
    struct Message {
        let request: GuardRequest
        let peer: PeerCredentials?
        fileprivate let connection: UnixConnection

        func send(_ reply: GuardReply) { connection.send(JSONText.encode(reply)) }
    }

    private let path: String
    private let listener: UnixListener
    private var connections: [UnixConnection] = []
    private var held: [Message] = []

    /// More connections than this at once are turned away.
    private static let most = 64

    init(_ layout: Layout) throws(ChangeError) {
        path = layout.socket
        listener = try ChangeError.wrap { () throws(HostError) in try UnixListener(path: layout.socket) }
    }

    /// The requests that arrive, waiting at most so long for the first.
    mutating func next(milliseconds: Int64) -> [Message] {
        let ready = Poll.readable([listener.descriptor] + connections.map(\.descriptor), milliseconds: milliseconds)
        if ready.contains(listener.descriptor) {
            while let connection = listener.accept() {
                // The socket's mode keeps others out; a descriptor may still have been handed on.
                guard connections.count < Self.most, let peer = connection.peer,
                    peer.uid == 0 || peer.uid == OwnProcess.user
                else { continue }
                connections.append(connection)
            }
        }
        var messages: [Message] = []
        connections.removeAll { connection in
            switch connection.read() {
            case .line(let line):
                if let request = JSONText.decode(GuardRequest.self, from: Array(line.utf8)) {
                    messages.append(Message(request: request, peer: connection.peer, connection: connection))
                }
                return false
            case .notYet: return false
            case .closed: return true
            }
        }
        return messages
    }

    /// Keeps a message until the change has ended.
    mutating func hold(_ message: Message) { held.append(message) }

    /// The messages kept.
    mutating func takeHeld() -> [Message] {
        defer { held = [] }
        return held
    }

    /// Takes the socket away, so that nobody connects to a guard that is about to go.
    func close() { try? SecureFiles.remove(path) }
}
