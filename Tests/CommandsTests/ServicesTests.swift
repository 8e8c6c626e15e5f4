import Testing

@Suite("services")
struct ServicesTests {
    @Test("the list names every built-in service within 80 columns", arguments: [["services"], ["services", "list"]])
    func list(arguments: [String]) async {
        let run = await ProgramRun.of(arguments)
        #expect(run.status == 0)
        #expect(run.results.contains("\nweb "))
        #expect(run.results.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test("an administrator's template overrides the built-in one, and its source is shown")
    func shadow() async throws {
        let folder = try TestFolder()
        let text = """
            name: web
            title: Our web
            summary: The shop.
            group: web
            ports: [8080/tcp]
            source: everyone

            """
        try folder.write(text, to: "etc/latchkey/templates/web.yaml")
        let run = await ProgramRun.of(["services", "show", "web", "--json"], root: folder.path)
        #expect(run.talk.isEmpty)
        #expect(
            run.results == """
                {"from":"everyone","name":"web","origin":"\(folder.path)/etc/latchkey/templates/web.yaml",\
                "ports":["8080/tcp"],"summary":"The shop.","title":"Our web"}

                """)
    }

    @Test("mistakes in a template exit with 65, reported together with file and line")
    func mistakes() async throws {
        let folder = try TestFolder()
        try folder.write("name: web\nports: [99999/tcp]\ncolour: red\n", to: "etc/latchkey/templates/web.yaml")
        let run = await ProgramRun.of(["services"], root: folder.path)
        #expect(run.status == 65)
        #expect(run.results.isEmpty)
        #expect(run.talk.contains("\(folder.path)/etc/latchkey/templates/web.yaml:2: "))
        #expect(run.talk.contains("\(folder.path)/etc/latchkey/templates/web.yaml:3: "))
    }

    @Test("an unknown name exits with 64 and a suggestion")
    func unknown() async {
        let run = await ProgramRun.of(["services", "show", "wbe"])
        #expect(run.status == 64)
        #expect(run.talk.contains("\"web\""))
    }
}
