import Foundation
import Netfilter
import Policy
import Templates
import Testing

@Suite("The built-in templates")
struct CatalogTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "templates")

    @Test(
        "every file of the folders is in the binary, byte for byte",
        arguments: [
            ("services", Templates.services.map(\.name)), ("rules", Templates.rules.map(\.name)),
            ("examples", Templates.examples.map(\.name)),
        ])
    func embedded(_ folder: String, _ names: [String]) throws {
        let path = Self.folder.appending(path: folder)
        let files = try FileManager.default.contentsOfDirectory(atPath: path.path()).sorted()
        #expect(names.sorted() == files)
        for file in Templates.services + Templates.rules + Templates.examples where names.contains(file.name) {
            #expect(try Data(file.bytes) == Data(contentsOf: path.appending(path: file.name)))
        }
    }

    @Test("all are read without a mistake, and there are many")
    func parsed() throws {
        let catalog = try TemplateCatalog.builtIn()
        #expect(catalog.names.count == Templates.services.count)
        #expect(catalog.all.map(\.name).sorted() == catalog.names)
        #expect(catalog.names.count >= 40)
    }

    @Test(
        "each has a way to be detected, a heading, a source and one sentence",
        arguments: try TemplateCatalog().all)
    func complete(_ template: ServiceTemplate) {
        #expect(!template.programs.isEmpty)
        // The kernel reports no more of a program's name (proc_pid_comm(5)).
        #expect(template.programs.allSatisfy { $0.utf8.count <= 15 })
        #expect(template.group != .other)
        #expect(template.reference?.isEmpty == false)
        #expect(template.summary.hasSuffix("."))
        #expect(template.summary.dropLast().contains(". ") == false)
        #expect(template.title.count <= 26)
        #expect(template.ports.count <= 15)
        #expect(template.origin == .builtIn)
    }

    @Test(
        "services that give access to the machine or its data are for admins by default",
        arguments: [
            "postgres", "mysql", "redis", "mongodb", "elasticsearch", "memcached", "docker-api-tls", "kubernetes-api",
            "cockpit", "webmin", "prometheus-node-exporter", "rdp", "vnc", "nfs", "samba", "squid", "etcd", "snmp",
            "mqtt", "rabbitmq",
        ])
    func closedByDefault(_ name: String) throws {
        #expect(try TemplateCatalog.builtIn()[name]?.audience == .admins)
    }

    @Test("port 9090 identifies nothing: Cockpit and Prometheus both use it", arguments: ["cockpit", "prometheus"])
    func sharedPort(_ name: String) throws {
        #expect(try TemplateCatalog.builtIn()[name]?.hintPorts == [])
    }

    @Test(
        "the ports of the well-known services",
        arguments: [
            ("ssh", ["22/tcp"]), ("web", ["80/tcp", "443/tcp", "443/udp"]), ("dns", ["53/tcp", "53/udp"]),
            ("mail", ["25/tcp", "143/tcp", "465/tcp", "587/tcp", "993/tcp"]), ("pop3", ["110/tcp", "995/tcp"]),
            ("dns-over-tls", ["853/tcp"]), ("ntp", ["123/udp"]), ("mosh", ["60000-61000/udp"]),
            ("wireguard", ["51820/udp"]), ("openvpn", ["1194/udp"]), ("ipsec", ["500/udp", "4500/udp"]),
            ("tailscale", ["41641/udp"]), ("postgres", ["5432/tcp"]), ("mysql", ["3306/tcp"]), ("redis", ["6379/tcp"]),
            ("mongodb", ["27017/tcp"]), ("elasticsearch", ["9200/tcp", "9300/tcp"]), ("kubernetes-api", ["6443/tcp"]),
            ("docker-api-tls", ["2376/tcp"]), ("prometheus-node-exporter", ["9100/tcp"]), ("grafana", ["3000/tcp"]),
            ("git", ["9418/tcp"]), ("rsync", ["873/tcp"]), ("nfs", ["2049/tcp"]),
            ("samba", ["137-138/udp", "139/tcp", "445/tcp"]), ("ldap", ["389/tcp"]), ("ldaps", ["636/tcp"]),
            ("sip", ["5060/tcp", "5060/udp", "5061/tcp"]), ("xmpp", ["5222/tcp", "5269/tcp"]),
            ("matrix-federation", ["8448/tcp"]), ("minecraft", ["25565/tcp"]),
            ("syncthing", ["21027/udp", "22000/tcp", "22000/udp"]), ("transmission", ["51413/tcp", "51413/udp"]),
            ("squid", ["3128/tcp"]), ("cockpit", ["9090/tcp"]), ("webmin", ["10000/tcp"]),
            ("rdp", ["3389/tcp", "3389/udp"]), ("vnc", ["5900-5909/tcp"]), ("mdns", ["5353/udp"]),
            ("ftp", ["21/tcp", "61001-61100/tcp"]),
        ])
    func ports(_ name: String, _ ports: [String]) throws {
        #expect(try TemplateCatalog.builtIn()[name]?.ports.map(\.description) == ports)
    }

    @Test("the tutorial's answers are read without a mistake")
    func tutorial() throws {
        let example = try #require(Templates.examples.first { $0.name == "tutorial.yaml" })
        let answers = try AnswersFile.parse(example.bytes, file: example.name, catalog: try TemplateCatalog.builtIn())
        #expect(answers.admins.networks.map(\.description) == ["192.168.1.33"])
        #expect(answers.services.map(\.name) == ["ssh", "web", "mail", "dns"])
        #expect(answers.ping == .repliesOnly)
        #expect(answers.existing == .replace)
    }
}
