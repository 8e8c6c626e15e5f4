import Testing

@Suite("plan")
struct PlanCommandTests {
    @Test(
        "what is for the admins while there are none is said beside the result",
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
        let notes = names.map { "Note: \($0) is for the admins, and there are none: nobody can reach it.\n" }
        #expect(run.talk == notes.joined())
    }
}
