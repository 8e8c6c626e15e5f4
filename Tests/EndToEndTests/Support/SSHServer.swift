import Foundation
import Glibc
import TestSupport
import Testing

/// A real sshd on the test's machine, and logins from outside.
final class SSHServer: Sendable {
    let machine: Machine
    let outside: NetworkNamespace
    private let keys: TemporaryFolder
    /// The process that listens.
    let daemon: Child

    /// The source address of the outside.
    static let admin = NamespacePair.bare(NamespacePair.admins, .ipv4)
    static let stranger = NamespacePair.bare(NamespacePair.strangers, .ipv4)
    static let address = NamespacePair.bare(NamespacePair.serverAddresses, .ipv4)

    /// Why this test cannot run here, or nil.
    static let shortage: String? = {
        guard geteuid() == 0 else { return "a real sshd needs root" }
        return ["sshd", "ssh", "ssh-keygen"].first { (try? Tool.path($0)) == nil }.map { "'\($0)' is missing" }
    }()

    /// Provides a machine with an sshd that listens on port 22.
    static func with<Result>(_ backend: TestBackend, _ body: (SSHServer) async throws -> Result) async throws -> Result
    {
        try await Machine.withOutside(backend) { machine, outside in
            let server = try await SSHServer(machine, outside)
            return try await body(server)
        }
    }

    private init(_ machine: Machine, _ outside: NetworkNamespace) async throws {
        self.machine = machine
        self.outside = outside
        let keys = try TemporaryFolder()
        self.keys = keys
        for key in ["host", "user"] {
            try await mustRun([
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(keys.path)/\(key)",
            ])
        }
        try keys.write(
            """
            Port 22
            HostKey \(keys.path)/host
            AuthorizedKeysFile \(keys.path)/user.pub
            StrictModes no
            UsePAM no
            PidFile none
            PermitRootLogin prohibit-password
            PasswordAuthentication no

            """, to: "config")
        try await machine.namespace.mustRun(["mkdir", "-m", "755", "/run/sshd"])
        daemon = try machine.namespace.start(["sshd", "-D", "-f", "\(keys.path)/config"])
        try await until("sshd to listen") {
            try await machine.namespace.mustRun(["ss", "-ltnH"]).contains("0.0.0.0:22 ")
        }
    }

    /// The arguments of an ssh that logs in as root and runs a command there.
    private func words(_ command: String, from source: String?, to address: String, _ options: [String]) -> [String] {
        [
            "ssh", "-F", "none", "-i", "\(keys.path)/user", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
        ] + (source.map { ["-b", $0] } ?? []) + options + ["root@\(address)", command]
    }

    /// Logs in from outside, runs a command to its end and returns the result.
    func logIn(
        _ command: String, from source: String? = admin, to address: String = address, _ options: [String] = [],
        input: [UInt8] = []
    ) async throws -> Finished {
        try await outside.run(
            words(command, from: source, to: address, options), input: input, timeout: .seconds(60))
    }

    /// Logs in from the server itself.
    func logInLocally(_ command: String, to address: String) async throws -> Finished {
        try await machine.namespace.run(words(command, from: nil, to: address, []), timeout: .seconds(60))
    }

    /// The command line with which a login runs latchkey on this machine.
    func line(_ words: String, with variables: String = "") -> String {
        "env \(variables) LATCHKEY_ROOT='\(machine.root.path)' '\(Latchkey.path)' \(words)"
    }

    /// A login that stays open: commands are run in it one by one, after it began.
    final class Session: Sendable {
        private let server: SSHServer
        private let name: String
        private let child: Child
        private let folder: String

        fileprivate init(_ server: SSHServer, _ name: String, from source: String, _ options: [String]) async throws {
            self.server = server
            self.name = name
            folder = "\(server.machine.root.path)/session-\(name)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            // Each command is a file that appears; its status is a second file.
            let loop = """
                cd '\(folder)'; touch ready; n=1
                while :; do
                    if [ -e $n.go ]; then sh ./$n >$n.out 2>$n.err </dev/null; echo $? >$n.new; mv $n.new $n.status; \
                n=$((n+1)); fi
                    sleep 0.1
                done
                """
            child = try server.outside.start(server.words(loop, from: source, to: SSHServer.address, options))
            let folder = folder
            try await until("the session") { access("\(folder)/ready", F_OK) == 0 }
        }

        /// Runs a command in this login; commands are numbered from 1.
        func run(_ number: Int, _ command: String) async throws -> Finished {
            try server.machine.root.write(command + "\n", to: "session-\(name)/\(number)")
            try server.machine.root.write("", to: "session-\(name)/\(number).go")
            let status = "\(folder)/\(number).status"
            try await until("the end of \(command)", within: .seconds(60)) { access(status, F_OK) == 0 }
            func read(_ kind: String) throws -> String {
                try server.machine.root.read("session-\(name)/\(number).\(kind)")
            }
            let code = Int32(try read("status").split(separator: "\n").first ?? "") ?? -1
            return Finished(status: code, stdout: Array(try read("out").utf8), errors: try read("err"))
        }
    }

    func session(_ name: String, from source: String = admin, _ options: [String] = []) async throws -> Session {
        try await Session(self, name, from: source, options)
    }

    /// Options that share one connection among several logins.
    func sharing(_ master: Bool) -> [String] {
        ["-o", "ControlPath=\(keys.path)/control"] + (master ? ["-o", "ControlMaster=yes"] : [])
    }
}

extension Trait where Self == ConditionTrait {
    /// The test needs root and sshd; with LATCHKEY_REQUIRE_KERNEL=1 it fails where they are missing.
    static var sshd: Self { .needing("root and sshd", despite: SSHServer.shortage) }
}
