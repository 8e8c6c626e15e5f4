import Glibc
import Host
import Testing

@Suite("The process table")
struct ProcessTableTests {
    @Test(
        "a process name may contain any character that a file name may",
        arguments: ["bash", "tmux: server", "a) S 1 (b", ")", "((", "", "new\nline", "sshd) R 0", "ümlaut"])
    func names(name: String) throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 3, name, user: 1000, started: 12345)
        let process = try #require(machine.processes.process(7))
        #expect(process.name == name)
        #expect(process.parent == 3)
        #expect(process.effectiveUser == 1000)
        #expect(process.started == BootInstant(nanoseconds: 123_450_000_000))
    }

    @Test(
        "a truncated or malformed file counts as a missing process",
        arguments: [
            "", "7", "7 (bash", "7 bash) S 3", "7 (bash) S", "7 (bash) S 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0",
            "7 (bash) S x 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0",
        ])
    func truncated(stat: String) throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 3, "bash")
        try machine.write(stat, to: "/proc/7/stat")
        #expect(machine.processes.process(7) == nil)
        #expect(machine.processes.all().isEmpty)
        #expect(machine.processes.ancestors(of: 7).isEmpty)
    }

    @Test("processes are found by the start of their name")
    func named() throws {
        let machine = try FakeMachine()
        try machine.addProcess(1, parent: 0, "systemd")
        try machine.addProcess(20, parent: 1, "sshd")
        try machine.addProcess(21, parent: 20, "sshd-session")
        try machine.addProcess(22, parent: 20, "not-sshd")
        #expect(machine.processes.all(named: ["sshd"]).map(\.pid) == [20, 21])
    }

    @Test("a process that has ended has no files, and nothing fails because of it")
    func vanished() throws {
        let machine = try FakeMachine()
        let table = machine.processes
        #expect(table.process(99) == nil)
        #expect(table.arguments(of: 99) == nil)
        #expect(table.title(of: 99) == nil)
        #expect(table.environment(of: 99) == nil)
        #expect(table.executable(of: 99) == nil)
        #expect(table.socketInodes(of: 99) == nil)
        #expect(table.controlGroups(of: 99).isEmpty)
        #expect(ProcessTable(proc: "/nowhere").pids().isEmpty)
    }

    @Test("ancestors are listed nearest first, up to a parent that cannot be read")
    func ancestors() throws {
        let machine = try FakeMachine()
        try machine.addProcess(1, parent: 0, "systemd")
        try machine.addProcess(20, parent: 1, "sshd")
        try machine.addProcess(30, parent: 20, "bash")
        try machine.addProcess(40, parent: 30, "latchkey")
        #expect(machine.processes.ancestors(of: 40).map(\.pid) == [30, 20, 1])
        #expect(machine.processes.ancestors(of: 1).isEmpty)
    }

    @Test("a loop among parents ends the walk")
    func loop() throws {
        let machine = try FakeMachine()
        try machine.addProcess(10, parent: 11, "a")
        try machine.addProcess(11, parent: 12, "b")
        try machine.addProcess(12, parent: 10, "c")
        #expect(machine.processes.ancestors(of: 10).map(\.pid) == [11, 12])
    }

    @Test("an endless chain of parents is followed for 128 steps")
    func longChain() throws {
        let machine = try FakeMachine()
        for pid in Int32(1)...200 { try machine.addProcess(pid, parent: pid - 1, "x") }
        #expect(machine.processes.ancestors(of: 200).count == 128)
    }

    @Test("the title leaves out the zeros that a program wrote over its arguments")
    func title() throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 1, "sshd", arguments: ["sshd: ops@pts/0", "", "", ""])
        #expect(machine.processes.title(of: 7) == "sshd: ops@pts/0")
    }

    @Test("an environment value may contain equals signs, and an entry without one is skipped")
    func environment() throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 1, "bash", environment: ["A=b=c", "nonsense", "EMPTY="])
        #expect(machine.processes.environment(of: 7) == ["A": "b=c", "EMPTY": ""])
    }

    @Test("only sockets count as sockets")
    func sockets() throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 1, "sshd", sockets: [3: 41, 4: 42])
        try machine.link("/proc/7/fd/5", to: "pipe:[43]")
        try machine.link("/proc/7/fd/6", to: "socket:[x]")
        try machine.link("/proc/7/fd/7", to: "/dev/null")
        #expect(machine.processes.sockets(of: 7) == [3: 41, 4: 42])
    }

    @Test("control groups of both hierarchies are read, including names with colons")
    func controlGroups() throws {
        let machine = try FakeMachine()
        try machine.addProcess(7, parent: 1, "bash")
        try machine.write("12:cpu,cpuacct:/user.slice\n0::/user.slice/a:b.scope\nbad\n", to: "/proc/7/cgroup")
        #expect(machine.processes.controlGroups(of: 7) == ["/user.slice", "/user.slice/a:b.scope"])
    }

    @Test(
        "terminals are named after their devices",
        arguments: [
            (0, "none"), (1025, "tty1"), (1088, "ttyS0"), (1281, "console"), (34816, "pts/0"), (34819, "pts/3"),
            (35072, "pts/256"), (58624, "hvc0"), (52288, "ttyAMA0"),
        ] as [(UInt32, String)])
    func terminals(number: UInt32, name: String) {
        #expect(TerminalNumber(rawValue: number).name == name)
    }

    @Test("this process is found, with its own start, parent and program")
    func live() throws {
        let table = ProcessTable()
        let me = try #require(table.process(getpid()))
        #expect(me.parent == getppid())
        #expect(me.effectiveUser == geteuid())
        #expect(me.started < BootClock.system.now())
        #expect(table.pids().contains(getpid()))
        #expect(table.ancestors(of: getpid()).first?.pid == getppid())
        #expect(table.executable(of: getpid())?.hasPrefix("/") == true)
        #expect(table.arguments(of: getpid())?.isEmpty == false)
    }
}
