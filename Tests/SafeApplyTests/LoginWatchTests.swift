import Host
import Synchronization
import TestSupport
import Testing

@testable import SafeApply

@Suite("When the guard looks for new logins")
struct LoginWatchTests {
    /// A program in place of sshd, and what is known of logins.
    private final class Login: Sendable {
        let looks = Mutex(0)
        let state = Mutex(NewLogin.none)

        func witness(_ programs: [String]) -> ConnectionWitness {
            var witness = ConnectionWitness(
                proof: { _, _ in .local },
                newLogin: { _ in
                    self.looks.withLock { $0 += 1 }
                    return self.state.withLock { $0 }
                }, noneWaiting: { _ in true }, tracksConnections: { true })
            witness.loginPrograms = { programs }
            return witness
        }
    }

    private let since = BootInstant(nanoseconds: 0)
    private func at(_ milliseconds: Int64) -> BootInstant { since.advanced(milliseconds: 100_000 + milliseconds) }

    @Test("it waits for an event until sshd is executed, then looks often while somebody may log in")
    func executed() async throws {
        let folder = try TemporaryFolder()
        try folder.write("#!/bin/sh\n", to: "sshd", mode: 0o700)
        let program = "\(folder.path)/sshd"
        let login = Login()
        var watch = LoginWatch(login.witness([program]))
        watch.watch()
        let descriptor = try #require(watch.descriptor)
        #expect(watch.look(since: since, at(0)) == nil)
        #expect(watch.pause(at(0)) == nil)
        #expect(Poll.readable([descriptor], milliseconds: 0).isEmpty)

        let result = try await SystemRunner().run(Command(program, []))
        #expect(result.status == 0)
        #expect(Poll.readable([descriptor], milliseconds: 0) == [descriptor], "the kernel did not tell")
        login.state.withLock { $0 = .underWay }
        #expect(watch.look(since: since, at(10)) == nil)
        #expect(watch.pause(at(20)) == 100)
        // The client takes its time to type a password.
        for second in 1...60 as ClosedRange<Int64> {
            #expect(watch.look(since: since, at(second * 1_000)) == nil)
            #expect(watch.pause(at(second * 1_000)) == 100)
        }
        login.state.withLock { $0 = .none }
        #expect(watch.look(since: since, at(61_000)) == nil)
        #expect(watch.look(since: since, at(64_000)) == nil)
        #expect(watch.pause(at(64_000)) == nil)
        login.state.withLock { $0 = .succeeded(address: "192.0.2.1") }
        #expect(watch.look(since: since, at(66_500)) == "192.0.2.1")
    }

    @Test("where sshd's programs are unknown or cannot be watched, it looks often", arguments: [[], ["/nowhere/sshd"]])
    func unknown(programs: [String]) throws {
        var watch = LoginWatch(Login().witness(programs))
        watch.watch()
        #expect(watch.pause(at(0)) == 100)
    }
}
