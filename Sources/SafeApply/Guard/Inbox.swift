import Host

/// The guard's socket: it accepts requests as lines of JSON, from root only.
struct Inbox {
    /// A request and its connection.
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

    /// The maximum number of simultaneous connections.
    static let maxConnections = 64

    init(_ layout: Layout) throws(ChangeError) {
        path = layout.socket
        listener = try ChangeError.wrap { () throws(HostError) in try UnixListener(path: layout.socket) }
    }

    /// The requests that arrive.
    ///
    /// - Parameters:
    ///   - milliseconds: how long to wait at most.
    ///   - others: further descriptors that end the wait.
    /// - Returns: at most one from each connection; none if something else ended the wait.
    mutating func next(milliseconds: Int64, or others: [Int32] = []) -> [Message] {
        // poll(2) does not know of a line that was read together with the one before it.
        let hasLine = connections.contains(where: \.hasLine)
        let ready = Poll.readable(
            [listener.descriptor] + connections.map(\.descriptor) + others, milliseconds: hasLine ? 0 : milliseconds)
        if ready.contains(listener.descriptor) {
            while let connection = listener.accept() {
                // The socket's mode blocks other users, but a process can pass on an open descriptor.
                guard let peer = connection.peer, peer.uid == 0 || peer.uid == OwnProcess.user else { continue }
                // Clients that wait for the outcome must not keep a confirmation out; the oldest asks again.
                if connections.count == Self.maxConnections {
                    let oldest = connections.removeFirst()
                    held.removeAll { $0.connection === oldest }
                }
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

    /// Keeps a message until the change has ended; the last one of each client.
    mutating func hold(_ message: Message) {
        held.removeAll { $0.connection === message.connection }
        held.append(message)
    }

    /// Removes and returns the held messages.
    mutating func takeHeld() -> [Message] {
        defer { held = [] }
        return held
    }

    /// Removes the socket, so that no client connects to a guard that is about to end.
    func close() { try? SecureFiles.remove(path) }
}
