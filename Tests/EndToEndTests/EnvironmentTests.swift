import Foundation
import TestSupport
import Testing

/// What the caller's environment and files must not be able to do.
@Suite("The environment of a command", .kernel, .inTurn)
struct EnvironmentTests {
    @Test(
        "neither PATH nor the working directory decides which program runs, and variables of shells do nothing",
        arguments: TestBackend.installed)
    func path(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let mark = "\(machine.root.path)/ran"
            for program in [
                "iptables-nft-save", "iptables-legacy-save", "iptables-nft-restore", "iptables-legacy-restore", "nft",
                "ipset", "ip", "sshd", "systemctl", "nsenter", "unshare",
            ] {
                try machine.root.write("#!/bin/sh\necho \(program) >>'\(mark)'\n", to: "evil/\(program)", mode: 0o755)
            }
            let evil = "\(machine.root.path)/evil"
            let hostile = [
                "PATH": evil, "IFS": "/", "ENV": "\(evil)/ip", "BASH_ENV": "\(evil)/ip", "TMPDIR": "/nowhere",
                "HOME": "/nowhere", "LC_ALL": "xx_YY.nothing", "TZ": ":/nowhere",
            ]
            let words = machine.applyWords(.keep, ["--detach", "--deadline", "5m"])
            let applied = try await Latchkey.run(
                words, root: machine.root, in: machine.namespace, environment: hostile, timeout: .seconds(90))
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(try await outside.reachesByNeither(7))
            let reverted = try await Latchkey.run(
                ["revert"], root: machine.root, in: machine.namespace, environment: hostile, timeout: .seconds(90))
            #expect(reverted.status == 0, "\(reverted.errors)")
            #expect(try await outside.reachesByBoth(7))
            #expect(!FileManager.default.fileExists(atPath: mark))
        }
    }

    @Test("a link where latchkey writes a file is replaced, and the file that it leads to stays as it was")
    func links() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, _ in
            let victim = try machine.root.write("precious\n", to: "victim")
            let folder = "\(machine.root.path)/etc/latchkey"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/answers.yaml", withDestinationPath: victim)
            try await machine.begin(.keep)
            let kept = try await machine.latchkey("confirm")
            #expect(kept.status == 0, "\(kept.errors)")
            #expect(try machine.root.read("victim") == "precious\n")
            #expect(try machine.root.read("etc/latchkey/answers.yaml").contains("version: 1"))
        }
    }
}
