import Netfilter
import Policy
import Testing

@Suite("Reading a service template")
struct ServiceTemplateTests {
    private func catalog(
        _ text: String, path: String = "/etc/latchkey/templates/game.yaml"
    ) throws(DataErrors)
        -> TemplateCatalog
    {
        try TemplateCatalog(files: [TemplateCatalog.File(path: path, text: text)])
    }

    private func mistakes(_ text: String, path: String = "/etc/latchkey/templates/game.yaml") -> [String] {
        do throws(DataErrors) {
            _ = try catalog(text, path: path)
            return []
        } catch {
            return error.mistakes.map(\.description)
        }
    }

    @Test("every field is read")
    func whole() throws {
        let template = try #require(
            try catalog(
                """
                name: game
                title: A game
                summary: Lets people play.
                group: games
                ports: [7777-7778/udp, 7777/tcp]
                protocols: [ah, esp]
                source: admins
                programs: [gamed]
                listens: [7777/tcp]
                note: Bring friends.
                reference: the game's manual
                """)["game"])
        #expect(template.title == "A game")
        #expect(template.summary == "Lets people play.")
        #expect(template.group == .games)
        #expect(template.ports.map(\.description) == ["7777/tcp", "7777-7778/udp"])
        #expect(template.protocols == [.esp, .ah])
        #expect(template.audience == .admins)
        #expect(template.programs == ["gamed"])
        #expect(template.hintPorts.map(\.description) == ["7777/tcp"])
        #expect(template.note == "Bring friends.")
        #expect(template.reference == "the game's manual")
        #expect(template.origin == .file("/etc/latchkey/templates/game.yaml"))
    }

    private static let head = "name: game\ntitle: A game\nsummary: Lets people play.\nsource: everyone\n"

    @Test("without \"listens\" single ports identify the service, ranges do not")
    func hints() throws {
        let template = try #require(try catalog(Self.head + "ports: [7777/tcp, 8000-8010/tcp]")["game"])
        #expect(template.hintPorts.map(\.description) == ["7777/tcp"])
        #expect(template.group == .other)
    }

    @Test(
        "an invalid field is refused with its line",
        arguments: [
            ("ports: [0/tcp]", "\"0/tcp\""), ("ports: [80]", "\"80\""), ("ports: [65536/tcp]", "65536"),
            ("ports: [90-80/tcp]", "90-80"), ("ports: [80/sctp]", "sctp"), ("ports: [80/tcp, 80/tcp]", "twice"),
            ("ports: 80/tcp", "list"), ("ports: []", "opens nothing"), ("", "opens nothing"),
            ("ports: [80/tcp]\nprotocols: [gre]", "gre"), ("ports: [80/tcp]\nmulticast: [10.0.0.1]", "multicast"),
            ("ports: [80/tcp]\nmulticast: [239.0.0.256]", "256"), ("ports: [80/tcp]\ngroup: toys", "toys"),
            ("ports: [80/tcp]\ncolour: red", "colour"), ("ports: [80/tcp]\nnote: [a]", "note"),
            ("protocols: [esp]\nmulticast: [224.0.0.251]", "\"multicast\" requires \"ports\""),
            ("ports: [\"80/tcp\\n-j ACCEPT\"]", "\"80/tcp"), ("ports: [８０/tcp]", "not a port"),
        ])
    func refused(_ lines: String, _ part: String) {
        let found = mistakes(Self.head + lines)
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("/etc/latchkey/templates/game.yaml:") == true)
        #expect(found.first?.contains(part) == true, "\(found)")
    }

    @Test(
        "a name that could do harm in a rule is refused",
        arguments: [
            "Game", "7up", "-x", "a b", "a\\nb", "{{x}}", "a;b", "$(id)", "ünder", "a_b",
            "a23456789012345678901234567890123456789012345678",
        ])
    func names(_ name: String) {
        let text = "name: \"\(name)\"\ntitle: A\nsummary: B.\nsource: everyone\nports: [80/tcp]\n"
        #expect(mistakes(text, path: "\(name).yaml").count == 1)
    }

    @Test("a file is named after its service")
    func fileName() {
        let found = mistakes(Self.head + "ports: [80/tcp]", path: "/etc/latchkey/templates/toy.yaml")
        #expect(found.count == 1)
        #expect(found.first?.contains("game.yaml") == true)
    }

    @Test("every mistake in every file is reported at once")
    func atOnce() {
        let broken = "name: game\nsummary: A.\nports: [0/tcp, 80]\nsource: all\n"
        let other = TemplateCatalog.File(path: "/etc/latchkey/templates/toy.yaml", text: "name: toy\n")
        do throws(DataErrors) {
            _ = try TemplateCatalog(files: [TemplateCatalog.File(path: "/t/game.yaml", text: broken), other])
            Issue.record("nothing was refused")
        } catch {
            #expect(error.mistakes.filter { $0.file == "/t/game.yaml" }.count == 4)
            #expect(error.mistakes.filter { $0.file == other.path }.count == 3)
        }
    }

    @Test("the administrator's template overrides the built-in one of the same name, and no other")
    func shadow() throws {
        let text = "name: web\ntitle: My web\nsummary: B.\nsource: admins\nports: [8080/tcp]\n"
        let catalog = try catalog(text, path: "/etc/latchkey/templates/web.yaml")
        #expect(catalog["web"]?.ports.map(\.description) == ["8080/tcp"])
        #expect(catalog["web"]?.origin == .file("/etc/latchkey/templates/web.yaml"))
        #expect(catalog["dns"]?.origin == .builtIn)
        #expect(catalog.names.count == (try TemplateCatalog.builtIn()).names.count)
    }
}
