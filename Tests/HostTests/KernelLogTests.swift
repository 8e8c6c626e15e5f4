import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Host

@Suite("The kernel log")
struct KernelLogTests {
    private static let clock = BufferClock { 1_000_000_000 }

    /// Answers with one result, and records what it was asked.
    private final class Journal: CommandRunner {
        let result: CommandResult
        let asked = Mutex<[Command]>([])

        init(_ output: String, status: Int32 = 0) { result = CommandResult(status: status, output: Array(output.utf8)) }

        func run(_ command: Command) async throws(HostError) -> CommandResult {
            asked.withLock { $0.append(command) }
            return result
        }
    }

    private func log(_ root: TemporaryFolder, _ journal: Journal = Journal("")) -> KernelLog {
        let layout = Layout(root: root.path)
        return KernelLog(layout: layout, toolbox: Toolbox(layout: layout), runner: journal, clock: Self.clock)
    }

    private func withJournal(_ root: TemporaryFolder) throws {
        try root.write("", to: "run/systemd/journal/socket")
        try root.write("#!/bin/sh\n", to: "usr/bin/journalctl", mode: 0o755)
    }

    private static let records = """
        6,1,100000,-;first
        4,2,200000,-,caller=T1;latchkey drop: IN=eth0
         SUBSYSTEM=net
         DEVICE=n2
        12,3,300000,-;latchkey drop: written by a program
        30,4,300001,-;systemd[1]: latchkey drop: of another facility
        4,5,x,-;no time
        4,6;too few fields
        no mark
        4,7,400000,c;last\\x0aline

        """

    @Test("the buffer's records of the kernel itself are messages, and nothing else is")
    func buffer() {
        #expect(
            KernelBuffer.entries(in: Array(Self.records.utf8), 5).map { "\($0.time) \($0.text)" } == [
                "100005 first", "200005 latchkey drop: IN=eth0", "400005 last\\x0aline",
            ])
        #expect(KernelBuffer.entries(in: [0xff, 0x0a, 0x3b], 0).isEmpty)
        #expect(KernelBuffer.entries(in: Array("4,1,9999999999999999999,-;late\n".utf8), 0).isEmpty)
    }

    private static let lines = """
        {"MESSAGE":"latchkey drop: IN=eth0","__REALTIME_TIMESTAMP":"1700000000000001","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}
        {"MESSAGE":"latchkey drop: IN=eth1","__REALTIME_TIMESTAMP":"1700000000000002","_TRANSPORT":"kernel","SYSLOG_FACILITY":"1"}
        {"MESSAGE":"latchkey drop: IN=eth2","__REALTIME_TIMESTAMP":"1700000000000003","_TRANSPORT":"syslog","SYSLOG_FACILITY":"0"}
        {"MESSAGE":[108,97],"__REALTIME_TIMESTAMP":"1700000000000004","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}
        {"MESSAGE":null,"__REALTIME_TIMESTAMP":"1700000000000005","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}
        {"MESSAGE":"no time","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}
        -- No entries --
        {"MESSAGE":"last","__REALTIME_TIMESTAMP":"1700000000000006","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}

        """

    @Test("the journal's messages of the kernel itself are messages; what a program wrote to /dev/kmsg is not")
    func journalLines() {
        let entries = JournalLines(Array(Self.lines.utf8)).entries(containing: "")
        #expect(entries.map(\.text) == ["latchkey drop: IN=eth0", "last"])
    }

    @Test("a message has the time at which the kernel wrote it, not the time at which the journal read it")
    func journalTime() {
        let line = """
            {"MESSAGE":"late","__REALTIME_TIMESTAMP":"1700000000000000","__MONOTONIC_TIMESTAMP":"5000000",\
            "_SOURCE_MONOTONIC_TIMESTAMP":"2000000","_TRANSPORT":"kernel","SYSLOG_FACILITY":"0"}
            """
        #expect(JournalLines(Array(line.utf8)).entries(containing: "").map(\.time) == [1_699_999_997_000_000])
        let odd = line.replacing("2000000", with: "9000000")
        #expect(JournalLines(Array(odd.utf8)).entries(containing: "").map(\.time) == [1_700_000_000_000_000])
    }

    @Test("only messages with the wanted text are returned, from either source")
    func containing() async throws {
        #expect(JournalLines(Array(Self.lines.utf8)).entries(containing: "drop: IN").count == 1)
        let root = try TemporaryFolder()
        try root.write(Self.records, to: "dev/kmsg")
        #expect(try await log(root).read(since: 1_000, containing: "drop: IN").entries.count == 1)
    }

    @Test("the journal is asked for all boots, and its messages come before the buffer's")
    func journal() async throws {
        let root = try TemporaryFolder()
        try withJournal(root)
        try root.write(Self.records, to: "dev/kmsg")
        let journal = Journal(Self.lines)
        let reading = try await log(root, journal).read(since: 1_600_000_000, containing: "")
        #expect(reading.source == .journal && reading.entries.count == 2)
        let words = journal.asked.withLock { $0.first?.words ?? [] }
        #expect(words.contains("--since=@1600000000") && words.contains("_TRANSPORT=kernel"))
        #expect(!words.contains { ["-k", "--dmesg", "-b", "--boot"].contains($0) })
    }

    @Test(
        "a journal that fails or has no messages of the kernel gives way to the buffer",
        arguments: [0, 1] as [Int32])
    func fallback(status: Int32) async throws {
        let root = try TemporaryFolder()
        try withJournal(root)
        try root.write(Self.records, to: "dev/kmsg")
        let reading = try await log(root, Journal("", status: status)).read(since: 1_000, containing: "")
        #expect(reading.source == .kmsg)
        #expect(reading.entries.map(\.time) == [1_000_100_000, 1_000_200_000, 1_000_400_000])
        #expect(reading.oldest == 1_000_100_000)
    }

    @Test("without a journal only messages since the given second are read")
    func since() async throws {
        let root = try TemporaryFolder()
        try root.write("4,1,0,-;old\n4,2,1000000,-;new\n", to: "dev/kmsg")
        #expect(try await log(root).read(since: 1_001, containing: "").entries.map(\.text) == ["new"])
    }

    @Test("a buffer that cannot be read is an error")
    func unreadable() async throws {
        let root = try TemporaryFolder()
        try root.write("", to: "dev/kmsg/file")
        await #expect(throws: HostError.self) { try await log(root).read(since: 0, containing: "") }
    }

    @Test("following passes on messages one by one, and stops at an error")
    func follow() throws {
        struct Enough: Error {}
        let root = try TemporaryFolder()
        try root.write("4,1,0,-;old\n4,2,1000000,-;new\n4,3,2000000,-;newer\n", to: "dev/kmsg")
        var seen: [String] = []
        try log(root).follow(since: 1_001) { seen.append($0.text) }
        #expect(seen == ["new", "newer"])
        #expect(throws: Enough.self) { try log(root).follow(since: 0) { _ in throw Enough() } }
        try log(root).follow(since: nil) { _ in Issue.record("nothing new came") }
    }

    @Test("the buffer of this machine is read", .root)
    func real() async throws {
        let root = try TemporaryFolder()
        let layout = Layout(root: root.path)
        let log = KernelLog(layout: layout, toolbox: Toolbox(layout: layout), runner: Journal(""))
        let reading = try await log.read(since: 0, containing: "")
        #expect(reading.source == .kmsg)
        let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
        #expect(reading.entries.allSatisfy { $0.time <= now + 5_000_000 })
    }
}
