import Foundation
import TestSupport
import Testing

/// Connections that are older than the first rule that makes the kernel track connections.
@Suite("A connection older than the change", .kernel, .inTurn)
struct OldConnectionTests {
    @Test(
        "continues through apply and revert, whether or not its port is open to new connections", arguments: Case.all,
        [8080, 4444])
    func survives(_ test: Case, _ port: Int) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let count = "\(machine.root.path)/echoes"
            try await start(port, counting: count, on: machine, outside)
            func echoes() -> Int { (try? String(contentsOfFile: count, encoding: .utf8).utf8.count) ?? 0 }
            func expectMore(_ when: String) async throws {
                let before = echoes()
                try await until("echoes \(when)", within: .seconds(5)) { echoes() >= before + 3 }
            }
            try await expectMore("before")
            try await machine.begin(test.existing)
            try await expectMore("under the new rules")
            // It is tracked by now: emptying the connection table would cut it.
            #expect(try await machine.latchkey("confirm").status == 0)
            try await expectMore("under the kept rules")
            try await machine.begin(test.existing)
            try await expectMore("under the next rules")
            #expect(try await machine.latchkey("revert").status == 0)
            try await expectMore("after the revert")
            // The count cannot be wrong: a new connection to the closed port fails.
            if port == 4444 {
                let address = NamespacePair.bare(NamespacePair.serverAddresses, .ipv4)
                let knock = "timeout 1 bash -c 'exec 3<>/dev/tcp/\(address)/4444'"
                #expect(try await outside.run(["bash", "-c", knock]).status == 124)
            }
        }
    }

    /// A server that echoes, and a client that sends a byte ten times a second and records each one that comes back.
    ///
    /// perl-base is part of every Debian system.
    private func start(
        _ port: Int, counting path: String, on machine: Machine, _ outside: NetworkNamespace
    ) async throws {
        let address = NamespacePair.bare(NamespacePair.serverAddresses, .ipv4)
        let server = """
            use IO::Socket::INET;
            my $l = IO::Socket::INET->new(LocalAddr => '\(address)', LocalPort => \(port), Listen => 5) or die;
            my $c = $l->accept;
            while (sysread($c, my $b, 1)) { syswrite($c, $b) }
            """
        let client = """
            use IO::Socket::INET;
            my $c;
            for (1..100) {
                last if $c = IO::Socket::INET->new(PeerAddr => '\(address)', PeerPort => \(port), Timeout => 1);
                select(undef, undef, undef, 0.05);
            }
            open(my $f, '>', '\(path)') or die;
            while (1) {
                syswrite($c, 'x') or exit;
                sysread($c, my $b, 1) or exit;
                syswrite($f, $b);
                select(undef, undef, undef, 0.1);
            }
            """
        _ = try machine.namespace.start(["perl", "-e", server])
        _ = try outside.start(["perl", "-e", client])
        try await until("the connection") { FileManager.default.fileExists(atPath: path) }
    }
}
