import Foundation
import Host
import Synchronization

/// A folder that looks like a machine to the facts: files of `/` and processes of `/proc`.
///
/// It is removed when the test program ends, not with its owner: facts keep only its path, and can outlive a fake
/// machine that no variable holds.
final class FakeMachine {
    let root: String
    var source: FactSource { FactSource(root: root) }
    var processes: ProcessTable { ProcessTable(source) }

    init() throws {
        root = NSTemporaryDirectory() + "latchkey-facts-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: root + "/proc", withIntermediateDirectories: true)
        Self.made.withLock { [root] in $0.append(root) }
    }

    private static let made: Mutex<[String]> = {
        atexit { FakeMachine.made.withLock { $0.forEach { try? FileManager.default.removeItem(atPath: $0) } } }
        return Mutex([])
    }()

    func write(_ text: String, to path: String) throws {
        let folder = (root + path).split(separator: "/").dropLast().joined(separator: "/")
        try FileManager.default.createDirectory(atPath: "/" + folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: root + path))
    }

    func link(_ path: String, to target: String) throws {
        let folder = (root + path).split(separator: "/").dropLast().joined(separator: "/")
        try FileManager.default.createDirectory(atPath: "/" + folder, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: root + path, withDestinationPath: target)
    }

    /// Adds a process to procfs; `started` counts ticks of 10 ms, `sockets` are inodes by descriptor.
    func addProcess(
        _ pid: Int32, parent: Int32, _ name: String, user: UInt32 = 0, started: Int64 = 100, terminal: Int32 = 0,
        state: String = "S", arguments: [String] = [], environment: [String] = [], sockets: [Int: UInt64] = [:],
        program: String? = nil, group: String? = nil
    ) throws {
        let folder = "/proc/\(pid)"
        let fields = "\(state) \(parent) \(pid) \(pid) \(terminal) -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 \(started) 0 0"
        try write("\(pid) (\(name)) \(fields)\n", to: folder + "/stat")
        try write(name + "\n", to: folder + "/comm")
        try write("Name:\t\(name)\nUid:\t\(user)\t\(user)\t\(user)\t\(user)\n", to: folder + "/status")
        try write(arguments.map { $0 + "\0" }.joined(), to: folder + "/cmdline")
        try write(environment.map { $0 + "\0" }.joined(), to: folder + "/environ")
        if let group { try write("0::\(group)\n", to: folder + "/cgroup") }
        if let program { try link(folder + "/exe", to: program) }
        try FileManager.default.createDirectory(atPath: root + folder + "/fd", withIntermediateDirectories: true)
        for (descriptor, inode) in sockets { try link("\(folder)/fd/\(descriptor)", to: "socket:[\(inode)]") }
    }

    /// Writes the same TCP table for the machine and for the named processes' network namespaces.
    func setTCP(_ rows: [String], tcp6: [String] = [], ofProcesses pids: [Int32] = []) throws {
        for folder in ["/proc/net"] + pids.map({ "/proc/\($0)/net" }) {
            try write(table(rows), to: folder + "/tcp")
            try write(table(tcp6), to: folder + "/tcp6")
        }
    }

    func setUDP(_ rows: [String]) throws { try write(table(rows), to: "/proc/net/udp") }

    private func table(_ rows: [String]) -> String {
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
        let numbered = rows.enumerated().map { "   \($0.offset): \($0.element)" }
        return ([header] + numbered).joined(separator: "\n") + "\n"
    }
}

/// One row of /proc/net/tcp, as the kernel of a little-endian machine prints it.
func row(_ local: String, _ remote: String, _ state: String, inode: UInt64, waiting: Int = 0) -> String {
    let queue = String(waiting, radix: 16)
    let padded = String(repeating: "0", count: 8 - queue.count) + queue
    return
        "\(local) \(remote) \(state) 00000000:\(padded) 00:00000000 00000000     0        0 \(inode) 1 0 100 0 0 10 0"
}

/// Connection endpoints in the kernel's notation: 198.51.100.20:22, 203.0.113.7:50000 and 0.0.0.0:22.
enum Ends {
    static let server = "146433C6:0016"
    static let client = "077100CB:C350"
    static let any = "00000000:0000"
    static let listener = "00000000:0016"
}
