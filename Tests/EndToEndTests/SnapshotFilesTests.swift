import Glibc
import TestSupport
import Testing

@Suite("The files of a change", .kernel, .inTurn)
struct SnapshotFilesTests {
    private static let backend = TestBackend.installed.first ?? .nft

    @Test("a damaged snapshot is refused with its file name, and nothing is changed", arguments: TestBackend.installed)
    func damaged(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let id = try await server.keep()
        let kept = try await server.dump()
        for name in ["meta.json", "ipv4.rules", "ipv6.rules", "saved.json"] {
            let path = "/var/lib/latchkey/snapshots/\(id)/\(name)"
            try await server.shell("cp -p $R\(path) /run/whole; head -c 40 /run/whole >$R\(path)")
            for words in [["restore", id, "--detach"], ["show", id], ["diff", id]] {
                let finished = try await Latchkey.run(
                    ["snapshots"] + words, root: server.root, in: server.namespace)
                #expect(finished.status == 65, "\(name) \(words)")
                #expect(finished.errors.replacing("\n    ", with: " ").contains(path), "\(finished.errors)")
            }
            let list = try await server.latchkey("snapshots", "list")
            #expect(list.status == 0 && list.output.contains("\(id)  damaged"), "\(name): \(list.output)")
            #expect(list.errors.replacing("\n    ", with: " ").contains(path), "\(list.errors)")
            let report = try await server.must("snapshots", "list", "--json")
            #expect(report.contains("\"damaged\":\"") && report.contains(name), "\(report)")
            try await server.shell("cp -p /run/whole $R\(path)")
        }
        #expect(try await server.dump() == kept)
        #expect(try await server.must("snapshots", "list", "--json").contains("\"damaged\":null"))
        #expect(try await server.snapshots() == [id])
        #expect(try await server.latchkey("snapshots", "show", id).status == 0)
    }

    // MARK: Full file systems

    /// Possible problems of a file system.
    enum Trouble: String, CaseIterable, Sendable {
        case readOnly = "mount -o remount,ro"
        case full = "fill"
    }

    @Test(
        "if /var or /run is full or read-only, a change is refused before anything is applied",
        arguments: ["/var/lib", "/run"], Trouble.allCases)
    func noRoom(folder: String, trouble: Trouble) async throws {
        let server = try await ChangedServer(Self.backend)
        let before = try await server.dump()
        try await server.shell("mkdir -p $R\(folder); mount -t tmpfs -o size=64k tmpfs $R\(folder)")
        switch trouble {
        case .readOnly: try await server.shell("mount -o remount,ro $R\(folder)")
        case .full: try await server.shell("head -c 100k /dev/zero >$R\(folder)/filler || true")
        }
        let start = ContinuousClock.now
        let finished = try await server.latchkey(
            "apply", "--answers", "-", "--backend", Self.backend.rawValue, "--no-rehearsal", "--detach",
            input: ChangedServer.answers)
        #expect(finished.status == 1)
        #expect(ContinuousClock.now - start < .seconds(45))
        let words = finished.errors.replacing("\n    ", with: " ")
        #expect(words.contains(trouble == .full ? "No space left on device" : "Read-only file system"), "\(words)")
        #expect(words.contains(folder) && words.contains("Nothing was changed"), "\(words)")
        #expect(try await server.dump() == before)

        // Nothing is left half done: once there is space again, the next change begins at once.
        try await server.shell("mount -o remount,rw $R\(folder); rm -f $R\(folder)/filler")
        #expect(try await server.state() == "idle")
        #expect(try await server.shell("ls -A $R/var/lib/latchkey/snapshots 2>/dev/null || true").isEmpty)
        try await server.apply()
        try await server.must("revert")
        #expect(RuleText.essence(try await server.dump()) == RuleText.essence(before))
    }

    // MARK: Modes and links

    @Test("files are accessible to root only, with any umask", arguments: ["0", "022", "777"])
    func umask(mask: String) async throws {
        let server = try await ChangedServer(Self.backend)
        let latchkey = "umask \(mask); LATCHKEY_ROOT=$R \(Latchkey.path)"
        let apply = "apply --answers /run/answers --backend \(Self.backend.rawValue) --no-rehearsal --detach"
        try await server.shell("printf 'version: 1\\nadmins: [192.0.2.9]\\n' >/run/answers; \(latchkey) \(apply)")
        try await server.shell("\(latchkey) confirm --same-connection")
        let found = try await server.shell(
            "find $R/var/lib/latchkey $R/run/latchkey $R/etc/latchkey/answers.yaml -printf '%y %m %P\\n'")
        for line in found.split(separator: "\n") {
            #expect(line.hasPrefix("d 700 ") || line.hasPrefix("f 600 ") || line.hasPrefix("s 600 "), "\(line)")
        }
        #expect(found.contains("history.jsonl") && found.contains("meta.json") && found.contains("kept.json"))
        let parents = try await server.shell("stat -c %a $R/var $R/var/lib $R/run $R/etc/latchkey")
        #expect(parents.split(separator: "\n").allSatisfy { $0 == "755" })
    }

    @Test(
        "a planted link is not followed",
        arguments: [
            "/run/latchkey", "/run/latchkey/lock", "/run/latchkey/journal.json", "/run/latchkey/guard.sock",
            "/run/latchkey/supervisor.lock", "/var/lib/latchkey", "/var/lib/latchkey/snapshots",
            "/var/lib/latchkey/history.jsonl", "/var/lib/latchkey/kept.json",
        ])
    func plantedLink(path: String) async throws {
        let server = try await ChangedServer(Self.backend)
        let before = try await server.dump()
        let isFolder = ["/run/latchkey", "/var/lib/latchkey", "/var/lib/latchkey/snapshots"].contains(path)
        try await server.shell(
            """
            mkdir -p -m 700 $R/run $R/var/lib $R/run/latchkey $R/var/lib/latchkey
            \(isFolder ? "rmdir $R\(path) 2>/dev/null || true; mkdir $R/victim" : "echo mine >$R/victim")
            chmod 755 $R/victim
            ln -s $R/victim $R\(path)
            """)
        let finished = try await server.latchkey(
            "apply", "--answers", "-", "--backend", Self.backend.rawValue, "--no-rehearsal", "--detach",
            input: ChangedServer.answers)
        if finished.status == 0 {
            try await server.must("confirm", "--same-connection")
        } else {
            #expect([1, 65].contains(finished.status), "\(finished.errors)")
            #expect(try await server.dump() == before)
        }
        let victim = isFolder ? "ls -A $R/victim" : "cat $R/victim"
        #expect(try await server.shell(victim) == (isFolder ? "" : "mine\n"), "\(finished.errors)")
        #expect(try await server.shell("stat -c %a $R/victim") == "755\n")
    }

    @Test("a planted link at the request's path is replaced, not followed")
    func plantedRequest() async throws {
        let server = try await ChangedServer(Self.backend)
        // The names for the next seconds: the change's name is one of them.
        try await server.shell(
            """
            mkdir -p -m 700 $R/run/latchkey; echo mine >$R/victim; now=$(date +%s)
            for i in $(seq 0 20); do
                id=$(date -u -d @$((now + i)) +%Y%m%d-%H%M%S)
                for name in $id.request .$id.request.new $id.failure; do ln -s $R/victim $R/run/latchkey/$name; done
            done
            """)
        _ = try await server.latchkey(
            "apply", "--answers", "-", "--backend", Self.backend.rawValue, "--no-rehearsal", "--detach",
            input: ChangedServer.answers)
        #expect(try await server.read("/victim") == "mine\n")
    }

    // MARK: The log

    @Test("the system log and the history say who changed what, and how it ended")
    func log() async throws {
        let server = try await ChangedServer(Self.backend)
        let log = try LogReceiver(server.root.path + "/log")
        // A separate /dev for the namespace, so that /dev/log can be created in it.
        try await server.shell(
            """
            mkdir /run/dev; mount --rbind /dev /run/dev; mount -t tmpfs tmpfs /dev; ln -s $R/log /dev/log
            for name in null zero random urandom tty ptmx pts stdin; do ln -s /run/dev/$name /dev/$name; done
            """)
        let id = try await server.apply()
        try await server.must("revert")
        let lines = log.received()
        let wanted = ["begins: ", "is active", "is rolled back: A rollback was requested."]
        for words in wanted {
            let line = lines.first { $0.contains("Change \(id) \(words)") }
            #expect(
                line?.contains(#/^<85>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d latchkey\[\d+\]: /#) == true, "\(lines)")
        }
        let history = try await server.must("status", "--history")
        #expect(history.contains(id) && history.contains("reverted") && history.contains("A rollback was requested."))
        #expect(history.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(try await server.must("status", "--history", "--json").contains("\"outcome\":\"reverted\""))
    }
}

/// What programs see of syslogd: a socket that accepts messages.
private final class LogReceiver {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }

    deinit { close(descriptor) }

    func received() -> [String] {
        var lines: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 {
            lines.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
        return lines
    }
}
