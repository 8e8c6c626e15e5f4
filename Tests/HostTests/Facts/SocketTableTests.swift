import Glibc
import Netfilter
import Testing

@testable import Host

@Suite("The socket table")
struct SocketTableTests {
    @Test("an IPv4 row is read with its endpoints, state and queues")
    func ipv4() throws {
        let machine = try FakeMachine()
        try machine.setTCP([row(Ends.server, Ends.client, "01", inode: 42)])
        let found = try #require(SocketTable(machine.source).rows.first)
        #expect(found.local.description == "198.51.100.20:22")
        #expect(found.remote.description == "203.0.113.7:50000")
        #expect(found.state == .established)
        #expect(found.inode == 42)
        #expect(!found.isListening)
    }

    @Test("an IPv6 row is read, and an IPv4-mapped address becomes an IPv4 address")
    func ipv6() throws {
        let machine = try FakeMachine()
        try machine.setTCP(
            [],
            tcp6: [
                row(
                    "B80D0120000000000000000001000000:0016", "000080FE00000000000000000A000000:D431", "01", inode: 1),
                row("0000000000000000FFFF0000146433C6:0016", "0000000000000000FFFF0000077100CB:C350", "01", inode: 2),
                row("00000000000000000000000000000000:0016", "00000000000000000000000000000000:0000", "0A", inode: 3),
            ])
        let rows = SocketTable(machine.source).rows
        #expect(rows.map(\.local.description) == ["[2001:db8::1]:22", "198.51.100.20:22", "[::]:22"])
        #expect(rows.map(\.remote.address.description) == ["fe80::a", "203.0.113.7", "::"])
        #expect(rows.map(\.isListening) == [false, false, true])
    }

    @Test(
        "a truncated or malformed row is skipped",
        arguments: [
            "", "146433C6:0016", "146433C6 077100CB:C350 01 0:0 0:0 0 0 0 1", "146433C:0016 \(Ends.client) 01",
            "\(Ends.server) \(Ends.client) 7F 00000000:00000000 00:00000000 00000000 0 0 42",
            "\(Ends.server) \(Ends.client) 01 00000000 00:00000000 00000000 0 0 42",
            "\(Ends.server) \(Ends.client) 01 00000000:00000000 00:00000000 00000000 0 0 -",
        ])
    func malformed(text: String) throws {
        let machine = try FakeMachine()
        try machine.setTCP([text, row(Ends.listener, Ends.any, "0A", inode: 5)])
        #expect(SocketTable(machine.source).rows.map(\.inode) == [5])
    }

    @Test("a kernel without IPv6 has no IPv6 tables, and the result says so")
    func withoutIPv6() throws {
        let machine = try FakeMachine()
        try machine.write("header\n", to: "/proc/net/tcp")
        #expect(SocketTable(machine.source, transports: [.tcp]).unreadable == ["tcp6"])
    }

    @Test("UDP sockets listen unless they are connected")
    func udp() throws {
        let machine = try FakeMachine()
        try machine.setUDP([
            row("00000000:0035", Ends.any, "07", inode: 1), row(Ends.server, Ends.client, "01", inode: 2),
        ])
        #expect(SocketTable(machine.source).rows.map(\.isListening) == [true, false])
    }

    @Test("a connection that waits to be accepted or is half-open is in the backlog")
    func backlog() throws {
        let machine = try FakeMachine()
        func isEmpty(_ rows: [String]) throws -> Bool? {
            try machine.setTCP(rows)
            return SocketTable(machine.source).listenerBacklogEmpty(port: 22)
        }
        let listener = row(Ends.listener, Ends.any, "0A", inode: 5)
        #expect(try isEmpty([listener]) == true)
        #expect(try isEmpty([row(Ends.listener, Ends.any, "0A", inode: 5, waiting: 1)]) == false)
        #expect(try isEmpty([listener, row(Ends.server, Ends.client, "03", inode: 0)]) == false)
        #expect(try isEmpty([listener, row(Ends.server, Ends.client, "01", inode: 9)]) == true)
        #expect(try isEmpty([]) == nil)
    }

    @Test("peers are the connected remote addresses, each listed once")
    func peers() throws {
        let machine = try FakeMachine()
        try machine.setTCP([
            row(Ends.server, Ends.client, "01", inode: 1), row(Ends.server, "077100CB:C351", "01", inode: 2),
            row(Ends.server, "086433C6:C350", "06", inode: 0), row(Ends.server, Ends.server, "01", inode: 3),
            row("0100007F:0016", "0100007F:C000", "01", inode: 4),
        ])
        #expect(SocketTable(machine.source).peers(ofPort: 22).map(\.description) == ["203.0.113.7"])
    }

    @Test("a connection with both endpoints here belongs to the machine itself")
    func own() throws {
        let machine = try FakeMachine()
        try machine.setTCP([
            row(Ends.server, Ends.client, "01", inode: 1), row(Ends.client, Ends.server, "01", inode: 2),
        ])
        let table = SocketTable(machine.source)
        #expect(table.rows.map(table.isOwn) == [true, true])
    }

    @Test(
        "each address has exactly one text form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::1", "::1"), ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"),
        ])
    func addresses(text: String, canonical: String) {
        #expect(IPAddress(hostText: text)?.description == canonical)
    }

    @Test("text that is not an address is refused", arguments: ["", "1.2.3", "1.2.3.4/8", "fe80::1%eth0", "localhost"])
    func noAddress(text: String) {
        #expect(IPAddress(hostText: text) == nil)
    }

    @Test("loopback, link-local and unspecified addresses are recognized")
    func kinds() throws {
        let loopback = try ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1"].map { try #require(IPAddress(hostText: $0)) }
        #expect(loopback.map(\.isLoopback) == [true, true, true, false])
        let link = try ["169.254.1.1", "fe80::1", "febf::1", "fec0::1"].map { try #require(IPAddress(hostText: $0)) }
        #expect(link.map(\.isLinkLocal) == [true, true, true, false])
        let all = try ["0.0.0.0", "::", "::1"].map { try #require(IPAddress(hostText: $0)) }
        #expect(all.map(\.isUnspecified) == [true, true, false])
    }

    @Test("a listener's backlog grows with an unaccepted connection and shrinks once it is accepted")
    func liveBacklog() throws {
        let listener = try TestSocket.listening()
        defer { close(listener.descriptor) }
        #expect(SocketTable().listenerBacklogEmpty(port: listener.port) == true)
        let client = try TestSocket.connected(to: listener.port)
        defer { close(client) }
        #expect(SocketTable().listenerBacklogEmpty(port: listener.port) == false)
        let accepted = accept(listener.descriptor, nil, nil)
        defer { close(accepted) }
        #expect(accepted >= 0)
        let table = SocketTable()
        #expect(table.listenerBacklogEmpty(port: listener.port) == true)
        let inodes = try #require(ProcessTable().sockets(of: getpid()))
        let held = try #require(inodes[accepted])
        let found = try #require(table.establishedByInode[held])
        #expect(found.local.description == "127.0.0.1:\(listener.port)")
        #expect(table.isOwn(found))
        let mine = listeners().filter { $0.port == listener.port && $0.transport == .tcp }
        #expect(mine.map(\.pids) == [[getpid()]])
        #expect(mine.map(\.isLocalOnly) == [true])
    }
}

/// What the kernel lists by sock_diag(7) against what procfs shows of the same sockets.
@Suite("sock_diag and procfs")
struct SocketDiagnosisTests {
    @Test("show the same listener and connection, with state, queues, user and inode")
    func same() throws {
        let listener = try TestSocket.listening()
        defer { close(listener.descriptor) }
        let client = try TestSocket.connected(to: listener.port)
        defer { close(client) }
        let ofProcfs = SocketTable(ofNamespaceOf: getpid(), transports: [.tcp]).rows
        let asked = SocketTable(transports: [.tcp]).rows
        let own = { (row: SocketRow) in row.local.port == listener.port || row.remote.port == listener.port }
        #expect(Set(asked.filter(own)) == Set(ofProcfs.filter(own)))
        #expect(
            asked.filter(own).map(\.state).sorted { $0.rawValue < $1.rawValue } == [
                .established, .established, .listen,
            ])
    }

    @Test("list only the states in question")
    func states() throws {
        let listener = try TestSocket.listening()
        defer { close(listener.descriptor) }
        let client = try TestSocket.connected(to: listener.port)
        defer { close(client) }
        let states = { (table: SocketTable) in
            Set(table.rows.filter { $0.local.port == listener.port }.map(\.state))
        }
        #expect(states(SocketTable(states: [.established])) == [.established])
        #expect(states(.listening()) == [.listen])
        #expect(states(SocketTable(ofNamespaceOf: getpid(), states: [.listen])) == [.listen])
    }

    @Test("read an IPv6 address, and refuse what is too short", arguments: [true, false])
    func bytes(isWhole: Bool) {
        // struct inet_diag_msg of linux/inet_diag.h: family, state, timer, retransmissions; ports; addresses;
        // interface, cookie; expiry, receive and send queue, user, inode.
        let message: [UInt8] =
            [10, 10, 0, 0, 0, 22, 0, 0] + [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [5]
            + [UInt8](repeating: 0, count: 16 + 12) + [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 33, 0, 0, 0, 7, 0, 0, 0]
        let row = SocketRow(message: isWhole ? message[...] : message.dropLast(), transport: .tcp)
        #expect(
            row.map { "\($0.local) \($0.state) \($0.receiveQueue) \($0.user) \($0.inode)" }
                == (isWhole ? "[2001:db8::5]:22 listen 1 33 7" : nil))
    }
}

/// Sockets of this process for the live tests.
enum TestSocket {
    struct Failure: Error { let number = errno }

    /// A listener on 127.0.0.1 with a port that the kernel chose.
    static func listening() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, bind(descriptor, port: 0), listen(descriptor, 5) == 0 else { throw Failure() }
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        guard status == 0 else { throw Failure() }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// A connection to a port of 127.0.0.1.
    static func connected(to port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, call(connect, descriptor, port: port) else { throw Failure() }
        return descriptor
    }

    private static func bind(_ descriptor: Int32, port: UInt16) -> Bool { call(Glibc.bind, descriptor, port: port) }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32, _ descriptor: Int32, port: UInt16
    ) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        } == 0
    }
}
