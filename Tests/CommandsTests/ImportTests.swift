import Commands
import Host
import Testing

@Suite("import")
struct ImportTests {
    /// Runs the program with another machine's files.
    private static func run(_ words: [String], _ folder: borrowing TestFolder) async -> ProgramRun {
        let console = RecordingConsole()
        var context = CommandContext.test(root: folder.path, console: console)
        context.facts = FactSource(root: folder.path, proc: "/proc")
        let status = await Program.run(["import"] + words, in: context)
        return ProgramRun(status: status, results: console.results, talk: console.talk)
    }

    /// What ufw's files come to, shortened.
    private static func ufw(_ user: String) throws -> TestFolder {
        let folder = try TestFolder()
        try folder.write("ENABLED=yes\nLOGLEVEL=low\n", to: "etc/ufw/ufw.conf")
        try folder.write("IPV6=no\nDEFAULT_INPUT_POLICY=\"DROP\"\n", to: "etc/default/ufw")
        try folder.write("*filter\n:ufw-before-input - [0:0]\nCOMMIT\n", to: "etc/ufw/before.rules")
        try folder.write("*filter\n:ufw-user-input - [0:0]\n\(user)\nCOMMIT\n", to: "etc/ufw/user.rules")
        try folder.write("*filter\n:ufw-after-input - [0:0]\nCOMMIT\n", to: "etc/ufw/after.rules")
        return folder
    }

    private static let rules = """
        ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
        -A ufw-user-input -p tcp --dport 22 -j ACCEPT

        ### tuple ### allow tcp 8080 0.0.0.0/0 any 10.0.0.0/8 in
        -A ufw-user-input -p tcp --dport 8080 -s 10.0.0.0/8 -j ACCEPT

        ### tuple ### allow gre any 0.0.0.0/0 any 10.0.0.0/8 in
        -A ufw-user-input -p gre -s 10.0.0.0/8 -j ACCEPT
        """

    @Test("the answers go to standard output, the table to standard error")
    func output() async throws {
        let folder = try Self.ufw(Self.rules)
        let run = await Self.run(["ufw"], folder)
        #expect(run.status == 0, "\(run.talk)")
        #expect(run.results.contains("\nversion: 1\n"))
        #expect(run.results.contains("\nipv6: false\n"))
        #expect(run.results.contains("\nlog: true\n"))
        #expect(run.results.contains("\n  - { port: 8080/tcp, from: [10.0.0.0/8] }\n"))
        #expect(run.results.contains("# - ufw allow from 10.0.0.0/8 proto gre\n"))
        #expect(run.talk.contains("  ufw allow 22/tcp => ssh\n"))
        #expect(run.talk.contains("Cannot be said"))
        #expect((run.results + run.talk).split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test("with --json everything is one object")
    func json() async throws {
        let run = await Self.run(["ufw", "--json"], try Self.ufw(Self.rules))
        #expect(run.status == 0)
        #expect(run.results.hasPrefix("{\"answers\":\"# Imported from ufw."))
        #expect(run.results.contains("\"imported\":[{\"answer\":\"ssh\",\"rule\":\"ufw allow 22/tcp\"},"))
        #expect(run.results.contains("{\"answer\":\"ports: 8080/tcp, from 10.0.0.0/8\",\"rule\":"))
        #expect(run.results.contains("\"omitted\":[{\"effect\":\"closed:"))
        #expect(run.results.contains("\"differences\":null"))
    }

    @Test("a program that is not there, or not in use, is refused with what to do", arguments: ["ufw", "firewalld"])
    func notInUse(program: String) async throws {
        let run = await Self.run([program], try TestFolder())
        #expect(run.status == 69)
        #expect(run.results.isEmpty)
        #expect(run.talk.contains("\(program) is not installed") && run.talk.contains("Next: "))
        let folder = try TestFolder()
        try folder.write("ENABLED=no\n", to: "etc/ufw/ufw.conf")
        try folder.write("<zone/>\n", to: "usr/lib/firewalld/zones/public.xml")
        let off = await Self.run([program], folder)
        #expect(off.status == 69)
        #expect(off.talk.contains("is installed, but"))
    }

    @Test("an unknown program is a usage error", arguments: [["shorewall"], [], ["ufw", "firewalld"]])
    func usage(words: [String]) async throws {
        #expect(await Self.run(words, try TestFolder()).status == 64)
    }

    @Test("only root can import what is in the kernel", arguments: ["iptables", "nftables"])
    func root(program: String) async throws {
        #expect(await Self.run([program], try TestFolder()).status == 77)
    }

    @Test("a broken file is refused with its line and text")
    func broken() async throws {
        let folder = try Self.ufw("-A ufw-user-input -p tcp --dport 22 -j ACCEPT\nnonsense here")
        let run = await Self.run(["ufw"], folder)
        #expect(run.status == 65)
        #expect(run.talk.contains("\(folder.path)/etc/ufw/user.rules:4: \"nonsense"))
        let zones = try TestFolder()
        try zones.write("[Unit]\n", to: "etc/systemd/system/firewalld.service")
        try zones.write("[Unit]\n", to: "etc/systemd/system/multi-user.target.wants/firewalld.service")
        try zones.write("<zone>\n<service name=ssh/>\n</zone>\n", to: "etc/firewalld/zones/public.xml")
        let firewalld = await Self.run(["firewalld"], zones)
        #expect(firewalld.status == 65)
        #expect(firewalld.talk.contains("\(zones.path)/etc/firewalld/zones/public.xml:2: "))
    }

    @Test("a zone's file in /etc counts, not the one of the package")
    func firewalld() async throws {
        let folder = try TestFolder()
        try folder.write("[Unit]\n", to: "etc/systemd/system/firewalld.service")
        try folder.write("[Unit]\n", to: "etc/systemd/system/multi-user.target.wants/firewalld.service")
        try folder.write("DefaultZone=mine\nLogDenied=all\n", to: "etc/firewalld/firewalld.conf")
        try folder.write(
            "<zone><service name=\"ssh\"/><port port=\"8080\" protocol=\"tcp\"/></zone>\n",
            to: "etc/firewalld/zones/mine.xml")
        try folder.write("<zone><port port=\"1\" protocol=\"tcp\"/></zone>\n", to: "usr/lib/firewalld/zones/mine.xml")
        try folder.write(
            "<service><port port=\"22\" protocol=\"tcp\"/></service>\n", to: "usr/lib/firewalld/services/ssh.xml")
        let run = await Self.run(["firewalld"], folder)
        #expect(run.status == 0, "\(run.talk)")
        #expect(run.results.contains("ports:\n  - 8080/tcp\n"))
        #expect(run.results.contains("\nlog: true\n"))
        #expect(run.talk.contains("saved settings"))
    }
}
