import Composer
import Netfilter
import Policy
import Templates
import Testing

/// An administrator's rule template may contain any mistake; none of them may reach the kernel.
@Suite("A rule template that does not match the plan is refused")
struct StrictnessTests {
    /// The mistakes found in a template that replaces a built-in one.
    private func refusal(
        _ name: String, _ change: (String) -> String, answers: Answers? = nil
    ) throws -> ComposerError? {
        let builtIn = try #require(Templates.rules.first { $0.name == "\(name).mustache" }).text
        let changed = change(builtIn)
        #expect(changed != builtIn, "the test changes nothing")
        let catalog = try TemplateCatalog.builtIn()
        let admins = [try CIDR(parsing: "192.168.1.33"), try CIDR(parsing: "192.168.1.34")]
        let plan = try Plan(
            answers: answers
                ?? Answers(
                    admins: AddressList(admins), services: [ServiceChoice("web"), ServiceChoice("dns")], ping: .limited,
                    log: true,
                    existing: .replace),
            catalog: catalog, sshPorts: [22])
        do throws(ComposerError) {
            _ = try Composer(ruleTemplates: [name: RuleTemplate(path: "/t/\(name).mustache", text: changed)]).compose(
                plan, family: .ipv4)
            return nil
        } catch {
            return error
        }
    }

    private func replacing(_ old: String, _ new: String) -> (String) -> String {
        { text in
            guard let range = text.firstRange(of: old) else { return text }
            return text.replacingCharacters(range, new)
        }
    }

    /// A changed line of the template.
    private func place(_ name: String, _ line: Int) -> TemplatePlace {
        TemplatePlace(path: "/t/\(name).mustache", line: line)
    }

    private let ssh = #"-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT"#
    private let loopback = #"-A INPUT -i lo -m comment --comment "latchkey: loopback" -j ACCEPT"#

    @Test("a missing rule is reported where its template begins, or after the rule before it")
    func missing() throws {
        #expect(try refusal("ssh") { _ in "" } == .missing(ssh, at: place("ssh", 1)))
        #expect(
            try refusal("replies") { $0.replacing(loopback + "\n", with: "") }
                == .missing(loopback, at: place("replies", 3)))
        #expect(
            try refusal("ssh") { $0 + "{{#replace}}\n{{/replace}}\n" } == nil)
        let error = try refusal("log") { _ in "" }
        guard case .missing(let rule, let place) = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(rule.contains("latchkey drop: "))
        #expect(error?.description.hasPrefix("\(place): the planned line \"-A INPUT") == true)
    }

    @Test("a template that is not included is reported in the template that should include it")
    func notIncluded() throws {
        #expect(try refusal("ruleset", replacing("{{> ssh}}\n", "")) == .notIncluded("ssh", at: place("ruleset", 1)))
        let error = try refusal("ruleset") { $0.replacing("{{> ssh}}\n", with: "").replacing("{{> log}}\n", with: "") }
        #expect(
            error
                == .several([
                    .notIncluded("ssh", at: place("ruleset", 1)), .notIncluded("log", at: place("ruleset", 1)),
                ]))
    }

    @Test("an extra rule", arguments: [("ssh", 5), ("log", 6), ("services", 13)])
    func extra(_ name: String, _ line: Int) throws {
        let rule = #"-A INPUT -p tcp -m tcp --dport 23 -m comment --comment "latchkey: telnet" -j ACCEPT"#
        #expect(try refusal(name) { $0 + rule + "\n" } == .unplanned(rule, at: place(name, line)))
        #expect(try refusal(name) { $0 + rule } == .unplanned(rule, at: place(name, line)))
    }

    @Test("a planned rule that appears twice, in one template or in two", arguments: [("replies", 5), ("ssh", 5)])
    func twice(_ name: String, _ line: Int) throws {
        #expect(try refusal(name) { $0 + loopback + "\n" } == .wrongOrder(loopback, at: place(name, line)))
    }

    @Test("rules in the wrong order are reported in the template that includes them")
    func order() throws {
        let error = try refusal("ruleset") { text in
            text.replacing("{{> ssh}}\n", with: "").replacing("{{> admins}}", with: "{{> ssh}}\n{{> admins}}")
        }
        #expect(error == .wrongOrder(ssh, at: place("ruleset", 18)))
    }

    @Test("a planned rule that also appears in another table")
    func otherTable() throws {
        let error = try refusal("ruleset") { text in
            text.replacingCharacters(text.lastRange(of: "COMMIT"), "{{> log}}\nCOMMIT")
        }
        guard case .wrongOrder(_, place("ruleset", 41)) = error else { return #expect(Bool(false), "\(error as Any)") }
    }

    @Test(
        "a rule with another port, verdict, source or without its comment",
        arguments: [
            ("ssh", "--dport {{.}}", "--dport 2{{.}}", 3), ("ssh", "-j ACCEPT", "-j DROP", 3),
            ("admins", "{{#source}}-s {{.}} {{/source}}", "", 4), ("admins", "latchkey: admins", "admins", 4),
            ("ssh", #"-m comment --comment "{{comment}}" "#, "", 3),
            ("ssh", #""{{comment}}""#, "&quot;{{comment}}&quot;", 3),
            ("replies", "RELATED,ESTABLISHED", "ESTABLISHED", 3), ("replies", "-i lo", "! -i lo", 4),
            ("ssh", "-A INPUT", "-A FORWARD", 3), ("ssh", "-A INPUT", "-I INPUT", 3),
        ])
    func changed(_ name: String, _ old: String, _ new: String, _ line: Int) throws {
        let error = try refusal(name, replacing(old, new))
        guard case .differs(let found, let planned, place(name, line)) = error else {
            return #expect(Bool(false), "\(error as Any)")
        }
        #expect(found != planned && planned.hasPrefix("-A INPUT "))
    }

    @Test("another policy or table, an extra or missing chain, a table without an end")
    func tables() throws {
        func refusal(_ old: String, _ new: String) throws -> ComposerError? {
            try self.refusal("ruleset", replacing(old, new))
        }
        func differs(_ found: String, _ planned: String, _ line: Int) -> ComposerError {
            .differs(found, planned: planned, at: place("ruleset", line))
        }
        #expect(try refusal(":INPUT DROP", ":INPUT ACCEPT") == differs(":INPUT ACCEPT [0:0]", ":INPUT DROP [0:0]", 6))
        #expect(
            try refusal(":OUTPUT ACCEPT", ":OUTPUT DROP") == differs(":OUTPUT DROP [0:0]", ":OUTPUT ACCEPT [0:0]", 8))
        #expect(try refusal("*nat", "*mangle") == differs("*mangle", "*nat", 36))
        #expect(
            try refusal(":FORWARD ACCEPT [0:0]\n", "") == .missing(":FORWARD ACCEPT [0:0]", at: place("ruleset", 6)))
        #expect(
            try refusal(":FORWARD", ":EXTRA - [0:0]\n:FORWARD") == .unplanned(":EXTRA - [0:0]", at: place("ruleset", 7))
        )
        guard case .missing("COMMIT", _) = try refusal("COMMIT\n{{#replace}}", "{{#replace}}") else {
            return #expect(Bool(false), "a missing COMMIT is not reported")
        }
    }

    @Test("with keep, a last rule that is missing, moved or changed, and a policy that drops")
    func lastRule() throws {
        func refusal(_ name: String, _ old: String, _ new: String) throws -> ComposerError? {
            let answers = Answers(services: [ServiceChoice("web")], log: true, existing: .keep)
            return try self.refusal(name, replacing(old, new), answers: answers)
        }
        let last = #"-A INPUT -m comment --comment "latchkey: drop all else" -j DROP"#
        #expect(try refusal("ruleset", "{{> last}}\n", "") == .notIncluded("last", at: place("ruleset", 1)))
        #expect(try refusal("last", last + "\n", "") == .missing(last, at: place("last", 1)))
        #expect(try refusal("last", "{{^replace}}", "{{#replace}}") == .missing(last, at: place("last", 4)))
        guard
            case .wrongOrder(_, place("ruleset", 31)) = try refusal(
                "ruleset", "{{> log}}\n{{> last}}", "{{> last}}\n{{> log}}")
        else { return #expect(Bool(false), "a rule after the last one is not refused") }
        let accepting = last.replacing("DROP", with: "ACCEPT")
        #expect(try refusal("last", "-j DROP", "-j ACCEPT") == .differs(accepting, planned: last, at: place("last", 4)))
        #expect(
            try refusal("ruleset", ":INPUT ACCEPT", ":INPUT DROP")
                == .differs(":INPUT DROP [0:0]", planned: ":INPUT ACCEPT [0:0]", at: place("ruleset", 11)))
    }

    @Test("with replace, a last rule in addition to the policy")
    func lastRuleWithReplace() throws {
        let last = #"-A INPUT -m comment --comment "latchkey: drop all else" -j DROP"#
        #expect(
            try refusal("last", replacing("{{^replace}}", "{{#replace}}")) == .unplanned(last, at: place("last", 4)))
    }

    @Test("a spelling that differs from iptables-save's")
    func spelling() throws {
        for spelled in ["-A INPUT  -i lo", "-A INPUT --in-interface lo", "[0:0] -A INPUT -i lo"] {
            let line = loopback.replacing("-A INPUT -i lo", with: spelled)
            #expect(
                try refusal("replies", replacing("-A INPUT -i lo", spelled))
                    == .differs(line, planned: loopback, at: place("replies", 4)))
        }
        for line in ["# loopback", ""] {
            #expect(
                try refusal("replies", replacing("-A INPUT -i lo", line + "\n-A INPUT -i lo"))
                    == .unplanned(line, at: place("replies", 4)))
        }
    }

    @Test("text that is not a rule is reported with its line in the template")
    func noRule() throws {
        let error = try refusal("ssh") { $0 + "hello\n" }
        #expect(
            error?.description
                == "/t/ssh.mustache:5: \"hello\" is not a command of iptables-restore. "
                + "Begin the line with -A and a chain.")
    }

    @Test("a line that ends in a carriage return is reported, including the first line of a file")
    func carriageReturn() throws {
        let error = ComposerError.badTemplate(place("ssh", 5), text: loopback + "\r", reason: .controlCharacter)
        #expect(try refusal("ssh") { $0 + loopback + "\r\n" } == error)
        guard
            case .badTemplate(place("log", 1), _, .controlCharacter) = try refusal(
                "log", { $0.replacing("\n", with: "\r\n") })
        else { return #expect(Bool(false), "another line is named") }
    }

    @Test("the last line of a template may lack its line end", arguments: PlannedTemplates.names)
    func unended(_ name: String) throws {
        #expect(try refusal(name) { String($0.dropLast()) } == nil)
    }

    @Test("all differences from the plan are reported together, once per template line")
    func allAtOnce() throws {
        let error = try refusal("replies") { text in
            "hello\n" + text.replacing("RELATED,ESTABLISHED", with: "ESTABLISHED") + "-A INPUT -j ACCEPT\n"
        }
        let lines = (error?.description ?? "").split(separator: "\n").map { $0.prefix { $0 != " " } }
        #expect(lines == ["/t/replies.mustache:1:", "/t/replies.mustache:4:", "/t/replies.mustache:6:"])
        let both = try refusal("admins", replacing("-j ACCEPT", "-j DROP"))
        #expect(both?.description.split(separator: "\n").count == 1)
    }

    @Test("a folder name that looks like a tag, or contains line breaks, is treated as a name")
    func oddFolder() throws {
        let text = try #require(Templates.rules.first { $0.name == "log.mustache" }).text
        let plan = try Plan(answers: Answers(log: true), catalog: TemplateCatalog.builtIn(), sshPorts: [22])
        for folder in ["/{{> ruleset}}", "/{{#log}}", "/a\nb", "/a\u{1}b"] {
            let template = RuleTemplate(path: folder + "/log.mustache", text: text)
            let rules = try Composer(ruleTemplates: ["log": template]).compose(plan, family: .ipv4)
            #expect(try rules == Composer().compose(plan, family: .ipv4))
        }
    }

    @Test("the mistakes of all templates are reported together")
    func several() throws {
        let bad = { (name: String) in RuleTemplate(path: "/t/\(name).mustache", text: "{{bad}}\n{{worse}}\n") }
        do throws(ComposerError) {
            _ = try Composer(ruleTemplates: ["log": bad("log"), "ping": bad("ping"), "telnet": bad("telnet")])
            Issue.record("nothing was refused")
        } catch {
            let lines = error.description.split(separator: "\n")
            #expect(
                lines.map { $0.prefix { $0 != " " } } == [
                    "/t/telnet.mustache:", "/t/log.mustache:1:", "/t/log.mustache:2:", "/t/ping.mustache:1:",
                    "/t/ping.mustache:2:",
                ])
        }
    }

    @Test("the administrator can choose the limits and the log line")
    func choices() throws {
        #expect(try refusal("ping", replacing("5/sec --limit-burst 10", "2/min --limit-burst 3")) == nil)
        #expect(try refusal("log", replacing("latchkey drop: ", "dropped ")) == nil)
        #expect(try refusal("log", replacing("5/min", "1/min")) == nil)
    }

    @Test(
        "tags that Mustache would ignore silently",
        arguments: [
            ("{{comments}}", ComposerError.TemplateMistake.unknownName), ("{{#adminz}}{{/adminz}}", .unknownName),
            ("{{comment", .unfinishedTag), ("{{}}", .unknownName), ("{{=<% %>=}}", .unknownKind),
            ("{{% CONTENT_TYPE:HTML}}", .unknownKind), ("{{{comment}}}", .unknownKind), ("{{&comment}}", .unknownKind),
            ("{{<ssh}}{{/ssh}}", .unknownKind), ("{{$ssh}}{{/ssh}}", .unknownKind),
            ("{{upper(comment)}}", .unknownKind),
            ("{{> log}}", .partial), ("{{> *comment}}", .partial), ("{{#ssh}}", .sections), ("{{/ssh}}", .sections),
            ("{{#ssh}}{{#port}}{{/ssh}}{{/port}}", .sections),
        ])
    func tags(_ tag: String, _ reason: ComposerError.TemplateMistake) throws {
        let error = try refusal("log") { "first line\n" + tag + $0 }
        let mistakes = if case .several(let errors) = error { errors } else { [error].compactMap(\.self) }
        guard case .badTemplate(let place, _, let found) = mistakes.first else {
            return #expect(Bool(false), "\(error as Any)")
        }
        #expect(found == reason)
        #expect(place.path == "/t/log.mustache" && place.line >= 2)
    }

    @Test(
        "a template that includes itself, is missing, or is included in the middle of a line",
        arguments: [
            ("{{> ruleset}}", ""), ("{{> rulez}}", ""), (" {{> log}}", ""), ("{{> log}}", " "), ("# {{> log}}", ""),
        ])
    func partials(_ include: String, _ end: String) throws {
        let tag = String(include.drop { $0 != "{" })
        #expect(
            try refusal("ruleset") { $0 + include + end }
                == .badTemplate(place("ruleset", 43), text: tag, reason: .partial))
    }

    @Test("every section without an end is reported where it begins")
    func unclosed() throws {
        #expect(
            try refusal("ssh") { "{{#ssh}}\n{{#log}}\n" + $0 }
                == .several([
                    .badTemplate(place("ssh", 1), text: "{{#ssh}}", reason: .sections),
                    .badTemplate(place("ssh", 2), text: "{{#log}}", reason: .sections),
                ]))
    }

    @Test("a template with a name that nothing includes")
    func unknown() throws {
        #expect(throws: ComposerError.self) {
            try Composer(ruleTemplates: ["telnet": RuleTemplate(path: "/t/telnet.mustache", text: "")])
        }
    }
}

/// The built-in rule templates.
enum PlannedTemplates {
    static let names = Templates.rules.map { String($0.name.dropLast(".mustache".count)) }
}

extension String {
    /// The text with one part replaced.
    func replacingCharacters(_ range: Range<Index>?, _ new: String) -> String {
        guard let range else { return self }
        return String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }

    /// The position of a text's last occurrence.
    func lastRange(of text: String) -> Range<Index>? { ranges(of: text).last }
}
