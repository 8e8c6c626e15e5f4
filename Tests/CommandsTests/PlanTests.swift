import Testing

@Suite("plan")
struct PlanCommandTests {
    @Test(
        "ports for admins are reported beside the result when there are no admins",
        arguments: [
            ("services: [mysql]", ["mysql"]), ("services: [mysql]\nadmins: [192.0.2.1]", []),
            ("services: [web]\nssh: { from: admins }", ["ssh"]),
            ("services: [redis, { name: mysql, from: everyone }]", ["redis"]),
        ])
    func unreachable(answers: String, names: [String]) async throws {
        let folder = try TestFolder()
        try folder.write("version: 1\n\(answers)\n", to: "a.yaml")
        let run = await ProgramRun.of(["plan", "--answers", folder.path + "/a.yaml", "--family", "ipv4"])
        #expect(run.status == 0)
        let notes = names.map { "Note: only admins can reach \($0), and there are no admins.\n" }
        #expect(run.talk == notes.joined())
    }

    @Test("the number of merged addresses is reported beside the result")
    func merged() async throws {
        let folder = try TestFolder()
        try folder.write("10.0.0.0/8\n10.1.2.3\n10.1.2.4\n11.0.0.1\n", to: "admins.txt")
        try folder.write("version: 1\nadmins: [{ file: admins.txt }]\n", to: "a.yaml")
        let run = await ProgramRun.of(["plan", "--answers", folder.path + "/a.yaml", "--family", "ipv4"])
        #expect(run.status == 0)
        #expect(
            run.talk.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                == "Note: admins: 2 of 4 addresses and networks are inside others of the list and were merged with them."
        )
    }

    @Test("mistakes in service and rule templates are reported together, with file and line")
    func templates() async throws {
        let folder = try TestFolder()
        try folder.write("version: 1\nservices: [web]\n", to: "a.yaml")
        try folder.write("name: web\n", to: "t/services/web.yaml")
        try folder.write("{{bad}}\n", to: "t/rules/log.mustache")
        let words = ["plan", "--answers", folder.path + "/a.yaml", "--template-dir", folder.path + "/t"]
        let run = await ProgramRun.of(words)
        #expect(run.status == 65)
        #expect(run.talk.contains("\n\(folder.path)/t/services/web.yaml:1: "))
        #expect(run.talk.contains("\n\(folder.path)/t/rules/log.mustache:1: "))
    }

    @Test("mistakes in rule templates are reported for both families together, once per template line")
    func families() async throws {
        let folder = try TestFolder()
        try folder.write("version: 1\nlog: true\n", to: "a.yaml")
        try folder.write("hello\n", to: "t/log.mustache")
        try folder.write("{{#ipv6Open}}\nhello\n{{/ipv6Open}}\n", to: "t/ping.mustache")
        let run = await ProgramRun.of(
            ["plan", "--answers", folder.path + "/a.yaml", "--template-dir", folder.path + "/t"])
        #expect(run.status == 65)
        let lines = run.talk.split(separator: "\n").map { $0.prefix { $0 != " " } }
        #expect(
            lines.prefix(3) == ["latchkey:", "\(folder.path)/t/log.mustache:1:", "\(folder.path)/t/ping.mustache:2:"],
            "\(run.talk)")
        #expect(run.talk.hasPrefix("latchkey: 2 mistakes in "))
    }

    @Test("a rule template that is in both the folder and its subfolder is refused")
    func twice() async throws {
        let folder = try TestFolder()
        try folder.write("version: 1\n", to: "a.yaml")
        try folder.write("", to: "t/log.mustache")
        try folder.write("", to: "t/rules/log.mustache")
        let run = await ProgramRun.of(
            ["plan", "--answers", folder.path + "/a.yaml", "--template-dir", folder.path + "/t"])
        #expect(run.status == 65)
        #expect(run.talk.contains("\(folder.path)/t/rules/log.mustache"))
    }
}
