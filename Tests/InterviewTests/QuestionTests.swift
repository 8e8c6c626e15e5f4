import Netfilter
import Policy
import Testing

@testable import Interview

/// For each question: valid and invalid input, and the default on the machine of the tests.
struct QuestionCase: Sendable {
    /// A typed line, and the answer as it is printed.
    let valid: [(line: String, answer: String)]
    /// A typed line, its invalid part, and the message about it.
    let invalid: [(line: String, part: String, message: String)]
    let proposal: String
    /// A word that the explanation must contain.
    let explains: String
}

let questionCases: [Question: QuestionCase] = [
    .admins: QuestionCase(
        valid: [
            ("192.168.1.33", "192.168.1.33"),
            ("192.168.1.33, 10.0.0.0/8  2001:db8:5::/64", "192.168.1.33 10.0.0.0/8 2001:db8:5::/64"),
            ("192.168.1.33\t192.168.1.33", "192.168.1.33"), ("None", "none"), ("me", "203.0.113.7"),
            ("192.168.1.1\n192.168.1.2", "192.168.1.1 192.168.1.2"), ("2001:DB8::1", "2001:db8::1"),
            ("192.168.1.33 wg0 tun1", "192.168.1.33 wg0 tun1"), ("wg0 192.168.1.33 wg0", "192.168.1.33 wg0"),
        ],
        invalid: [
            (
                "192.168.1.33 192.168.1.300", "192.168.1.300",
                "\"192.168.1.300\" is not an address: 300 is more than 255."
            ),
            ("10.0.0.1/8", "10.0.0.1/8", "\"10.0.0.1/8\" has host bits set: write 10.0.0.1 or 10.0.0.0/8."),
            (
                "office.example.com", "office.example.com",
                "\"office.example.com\" is not an address; write it like 192.168.1.33 or 2001:db8::1."
            ),
            ("none 10.0.0.1", "none", "\"none\" can't be combined with addresses. Remove one or the other."),
            ("interface", "interface", "\"interface\" needs a name after it, for example: interface wg0"),
            (
                "interface eth+", "eth+",
                "\"eth+\" contains \"+\", which would mean several interfaces. Name each one."
            ),
            (
                "wg7", "wg7",
                "\"wg7\" is not an address; write it like 192.168.1.33 or 2001:db8::1. "
                    + "If it is an interface: interface wg7"
            ),
            (
                "10.0.0.1\u{1B}[2J", "10.0.0.1\u{1B}[2J",
                "\"10.0.0.1\\u{1b}[2J\" contains a control character (U+001B). "
                    + "Use only letters, digits and . : / -"
            ),
            (
                "１０.0.0.1", "１０.0.0.1",
                "\"\\u{ff11}\\u{ff10}.0.0.1\" contains a character outside ASCII (U+FF11). "
                    + "Use only letters, digits and . : / -"
            ),
        ],
        proposal: "203.0.113.7", explains: "full access"),
    .ssh: QuestionCase(
        valid: [
            ("everyone", "everyone"), ("ADMINS", "admins"), ("10.0.0.0/8 192.0.2.1", "10.0.0.0/8 192.0.2.1"),
            ("everyone port 2222", "everyone port 2222"), ("admins, ports 22,2222", "admins port 22 2222"),
            ("port 2222", "everyone port 2222"), ("limited", "limited"), ("everyone limited", "limited"),
            ("10.0.0.0/8 wg0 limit 10/1m port 22", "10.0.0.0/8 wg0 limit 10/1m port 22"),
        ],
        invalid: [
            (
                "nobody", "nobody",
                "Without SSH, nobody can log in. To allow only admins, answer \"admins\"."
            ),
            (
                "everyone admins", "everyone admins",
                "Use only one: everyone, admins, or addresses. Admins always have access."
            ),
            ("port", "port", "\"port\" needs a number, for example: everyone port 2222"),
            ("port 0", "0", "\"0\" is not a port. Enter a number from 1 to 65535."),
            ("port 65536", "65536", "\"65536\" is not a port. Enter a number from 1 to 65535."),
            ("port 022", "022", "\"022\" is not a port. Enter a number from 1 to 65535."),
            ("admin", "admin", "\"admin\" is not valid. Use everyone, admins, an address or \"port 2222\"."),
            ("10.0.0.300", "10.0.0.300", "\"10.0.0.300\" is not an address: 300 is more than 255."),
        ],
        proposal: "everyone", explains: "keys"),
    .services: QuestionCase(
        valid: [
            ("web mail", "web, mail"), ("none", "none"), ("Web, DNS", "web, dns"),
            (
                "web, mail from 192.168.1.0/24 2001:db8:5::/64 dns from admins",
                "web, mail from 192.168.1.0/24 2001:db8:5::/64, dns from admins"
            ),
            ("postgres from everyone web", "postgres from everyone, web"), ("ssh web", "ssh, web"),
            (
                "web limited, mail from wg0 10.0.0.1 limit 5/1m dns",
                "web limited, mail from 10.0.0.1 wg0 limit 5/1m, dns"
            ),
            ("ssh limited, web limited", "ssh, web limited"),
        ],
        invalid: [
            ("wbe", "wbe", "\"wbe\" is not a known service. Type \"list\" to show them. Ports come next."),
            ("website", "website", "\"website\" is not a known service. Did you mean \"web\"?"),
            ("web web", "web", "\"web\" appears twice."),
            ("from 10.0.0.1", "from", "\"from\" needs a service before it, for example: mail from 192.168.1.0/24"),
            ("web from", "from", "\"from\" needs an address, \"admins\" or \"everyone\" after it."),
            ("web from mail", "from", "\"from\" needs an address, \"admins\" or \"everyone\" after it."),
            ("web from 10.0.0.1/8", "10.0.0.1/8", "\"10.0.0.1/8\" has host bits set: write 10.0.0.1 or 10.0.0.0/8."),
            (
                "8080/tcp", "8080/tcp",
                "\"8080/tcp\" is not a service. Enter ports at the next question, addresses after \"from\"."
            ),
            ("none web", "none", "\"none\" can't be combined with services. Remove one or the other."),
            ("limited", "limited", "\"limited\" needs a service before it, for example: web limited"),
            ("web limit", "limit", "\"limit\" needs a number and a time, for example: limit 6/30s"),
            ("web limit 6/week", "6/week", "\"6/week\" is not a limit. Write it as 6/30s, 10/1m or 100/1h."),
            ("web limited limited", "limited", "There are two limits for one service."),
            (
                "web from admins from everyone", "from",
                "\"from\" appears twice for one service. Enter a service before each \"from\"."
            ),
        ],
        proposal: "web", explains: "name for the ports"),
    .ports: QuestionCase(
        valid: [
            ("8080/tcp", "8080/tcp"), ("8080/TCP, 60000-61000/udp", "8080/tcp 60000-61000/udp"), ("none", "none"),
            ("8080/tcp 8080/tcp", "8080/tcp"),
            (
                "8080/tcp from 10.0.0.1 wg0 9000/udp limited 9001/tcp",
                "8080/tcp from 10.0.0.1 wg0 9000/udp limited 9001/tcp"
            ),
        ],
        invalid: [
            ("8080", "8080", "\"8080\" needs a protocol: 8080/tcp (most programs) or 8080/udp."),
            ("8080/tpc", "8080/tpc", "\"8080/tpc\": the protocol \"tpc\" is not supported; use tcp or udp."),
            ("70000/tcp", "70000/tcp", "\"70000/tcp\" is not a port: 70000 is more than 65535."),
            ("web", "web", "\"web\" is a service. Type \"back\" and enter it there."),
            ("none 1/tcp", "none", "\"none\" can't be combined with ports. Remove one or the other."),
            (
                "from 10.0.0.1", "from",
                "\"from\" needs a port before it, for example: 8080/tcp from 192.168.1.0/24"
            ),
            ("8080/tcp from", "from", "\"from\" needs an address, \"admins\" or \"everyone\" after it."),
        ],
        proposal: "none", explains: "enter two numbers with a dash"),
    .ping: QuestionCase(
        valid: [
            ("nobody", "nobody"), ("replies-only", "nobody"), ("none", "nobody"), ("admins", "admins"),
            ("LIMITED", "limited"), ("everyone", "everyone"),
        ],
        invalid: [
            ("some", "some", "\"some\" is not valid. Use nobody, admins, limited or everyone."),
            (
                "nobody admins", "nobody admins",
                "\"nobody admins\" is not valid. Use nobody, admins, limited or everyone."
            ),
        ],
        proposal: "nobody", explains: "ESTABLISHED"),
    .existing: QuestionCase(
        valid: [("keep", "keep"), ("Replace", "replace")],
        invalid: [
            ("both", "both", "\"both\" is not valid. Use keep or replace."),
            ("none", "none", "\"none\" is not valid. Use keep or replace."),
        ],
        proposal: "keep", explains: "fail2ban"),
    .docker: QuestionCase(
        valid: [("open", "open"), ("Answers", "answers")],
        invalid: [
            ("closed", "closed", "\"closed\" is not valid. Use open or answers."),
            ("open answers", "open answers", "\"open answers\" is not valid. Use open or answers."),
        ],
        proposal: "open", explains: "INPUT"),
]

@Suite("The questions")
struct QuestionTests {
    @Test("every question has its cases here", arguments: Question.allCases)
    func complete(question: Question) throws {
        let cases = try #require(questionCases[question], "no cases for \(question)")
        #expect(!cases.valid.isEmpty && !cases.invalid.isEmpty)
    }

    @Test("a valid answer is printed in its standard form", arguments: Question.allCases)
    func valid(question: Question) throws {
        let context = try Machine.context()
        for (line, expected) in try #require(questionCases[question]).valid {
            let answers = try question.parse(line, context).get()
            #expect(question.script.render(answers) == expected)
            let again = try question.parse(question.script.render(answers), context).get()
            #expect(again == answers, "\(line)")
        }
    }

    @Test("a mistake is reported with what to do", arguments: Question.allCases)
    func invalid(question: Question) throws {
        let context = try Machine.context()
        for (line, part, message) in try #require(questionCases[question]).invalid {
            guard case .failure(let mistake) = question.parse(line, context) else {
                Issue.record("\(line) was accepted")
                continue
            }
            #expect(mistake.parts.contains(.init(text: part, message: message)), "\(line): \(mistake.parts)")
        }
    }

    @Test("every mistake of a line is reported at once")
    func allMistakes() throws {
        let context = try Machine.context()
        guard case .failure(let mistake) = Question.admins.parse("10.0.0.300 10.0.0.1 x 10.0.0.1/8", context) else {
            Issue.record("accepted")
            return
        }
        #expect(mistake.parts.map(\.text) == ["10.0.0.300", "x", "10.0.0.1/8"])
    }

    @Test("an answer changes only what was asked", arguments: Question.allCases)
    func touchesNothingElse(question: Question) throws {
        var answers = Answers(
            admins: [try Machine.network("192.0.2.1")], services: [ServiceChoice("git")],
            ports: [PortChoice(try PortSpec(parsing: "9/udp"))], ping: .limited,
            ssh: SSHAnswer(ports: [22], from: .admins),
            ipv6: true, log: true, existing: .replace, docker: .answers)
        let line = try #require(questionCases[question]?.valid.first?.line)
        let changed = try question.parse(line, try Machine.context(answers: answers)).get()
        switch question {
        case .admins: answers.admins = changed.admins
        case .ssh: answers.ssh = changed.ssh
        case .services: answers.services = changed.services
        case .ports: answers.ports = changed.ports
        case .ping: answers.ping = changed.ping
        case .existing: answers.existing = changed.existing
        case .docker: answers.docker = changed.docker
        }
        #expect(changed == answers)
    }

    @Test("the default answer suits the machine and is valid", arguments: Question.allCases)
    func proposal(question: Question) throws {
        let context = try Machine.context()
        #expect(question.defaultAnswer(context) == questionCases[question]?.proposal)
        _ = try question.parse(question.defaultAnswer(context), context).get()
    }

    @Test("Enter accepts the previous answer if there is one", arguments: Question.allCases)
    func earlierAnswer(question: Question) throws {
        let last = try #require(questionCases[question]?.valid.last)
        let answers = try question.parse(last.line, try Machine.context()).get()
        let context = try Machine.context(answers: answers, answered: [question])
        #expect(question.defaultAnswer(context) == last.answer)
    }

    @Test("every question explains itself with an example", arguments: Question.allCases)
    func help(question: Question) throws {
        let text = question.help(try Machine.context(), screen: Screen()).text
        let flat = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(flat.contains("Examples:"))
        #expect(flat.contains(try #require(questionCases[question]).explains))
    }

    @Test("the explanation of pings covers the replies to mail and DNS, and who may send pings")
    func tutorialExplained() throws {
        let text = Question.ping.help(try Machine.context(), screen: Screen()).text
        for word in ["ESTABLISHED", "RELATED", "port 53", "port 25", "conversation"] {
            #expect(text.contains(word), "\(word)")
        }
    }

    @Test("Tab offers only words that the question understands", arguments: Question.allCases)
    func completions(question: Question) throws {
        let context = try Machine.context()
        let partial: Set = ["from", "port", "list", "limited"]
        for word in question.completions(context) where !partial.contains(word) {
            if question == .services, ["everyone", "admins"].contains(word) { continue }
            _ = try question.parse(word, context).get()
        }
        #expect(!question.completions(context).isEmpty)
    }

    @Test("the sixth question is asked only if there are rules to keep or replace")
    func existingOnlyWithRules() throws {
        #expect(!Question.asked(try Machine.discovery()).contains(.existing))
        #expect(Question.asked(try Machine.crowded()).contains(.existing))
        var chainsOnly = try Machine.discovery()
        chainsOnly.otherChains = ["DOCKER"]
        #expect(Question.asked(chainsOnly).contains(.existing))
    }

    @Test("the seventh question is asked only if there are published ports")
    func dockerOnlyWithPublishedPorts() throws {
        #expect(!Question.asked(try Machine.discovery()).contains(.docker))
        #expect(Question.asked(try Machine.crowded()).contains(.docker))
    }

    @Test("a published port that the answers do not open is named")
    func publishedAndClosed() throws {
        var answers = Answers(services: [ServiceChoice("web")], docker: .answers)
        let closed = Question.docker.warnings(try Machine.context(Machine.crowded(), answers: answers))
        #expect(
            closed == ["8080/tcp (grafana) is not among your services and ports: only admins can reach it then."])
        answers.docker = .open
        #expect(Question.docker.warnings(try Machine.context(Machine.crowded(), answers: answers)).isEmpty)
    }

    @Test("very long input is refused unread, and the message about a mistake stays short")
    func hostile() throws {
        let context = try Machine.context()
        guard case .failure(let flood) = Question.admins.parse(String(repeating: "1 ", count: 4000), context),
            case .failure(let long) = Question.services.parse(String(repeating: "x", count: 4000), context)
        else {
            Issue.record("accepted")
            return
        }
        #expect(flood.parts.count == 1 && flood.parts[0].message.hasPrefix("The line is too long"))
        #expect(long.parts[0].message.count < 120)
    }

    @Test("answers that turn off IPv6 accept no IPv6 address")
    func closedIPv6() throws {
        let context = try Machine.context(answers: Answers(ipv6: false))
        guard case .failure(let mistake) = Question.admins.parse("2001:db8::1", context) else {
            Issue.record("accepted")
            return
        }
        #expect(mistake.parts[0].message.contains("ipv6: false"))
    }

    @Test("at a local console no administrator is proposed")
    func noPeer() throws {
        var discovery = try Machine.discovery()
        discovery.peer = nil
        #expect(Question.admins.defaultAnswer(try Machine.context(discovery)) == "none")
        discovery.peer = try Machine.address("127.0.0.1")
        #expect(Question.admins.defaultAnswer(try Machine.context(discovery)) == "none")
        discovery.peer = try Machine.address("198.51.100.20")
        #expect(Question.admins.defaultAnswer(try Machine.context(discovery)) == "none")
    }

    @Test("a program that only this machine can reach is not proposed for everyone")
    func loopbackOnly() throws {
        var discovery = try Machine.discovery()
        discovery.listeners = [.init(program: "nginx", port: 80, transport: .tcp, loopbackOnly: true)]
        #expect(Question.services.defaultAnswer(try Machine.context(discovery)) == "none")
    }

    @Test("a database that listens on all addresses is not proposed for everyone")
    func databaseNotProposed() throws {
        var discovery = try Machine.discovery()
        discovery.listeners = [.init(program: "postgres", port: 5432, transport: .tcp)]
        #expect(Question.services.defaultAnswer(try Machine.context(discovery)) == "none")
    }
}
