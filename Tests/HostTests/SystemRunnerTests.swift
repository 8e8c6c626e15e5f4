import Glibc
import TestSupport
import Testing

@testable import Host

@Suite("Running tools")
struct SystemRunnerTests {
    @Test("a tool that takes too long is stopped together with its child processes")
    func timeout() async throws {
        let folder = try TemporaryFolder()
        let script = "sleep 60 & echo $! > \(folder.path)/child; wait"
        let command = Command("/bin/sh", ["-c", script], timeout: .seconds(1))
        await #expect(throws: HostError.toolTimedOut(command: command.words, seconds: 1)) {
            try await SystemRunner().run(command)
        }
        let child = try #require(pid_t(try folder.read("child").prefix { $0.isNumber }))
        // Ended, though its new parent may not have collected it yet.
        #expect(kill(child, 0) != 0 || ProcessTable().process(child)?.state == "Z")
    }
}
