import Composer
import Netfilter
import Policy
import Templates
import Testing

/// An administrator's own rule template may hold any mistake; none of them may reach the kernel.
@Suite("A rule template that does not say the plan is refused")
struct StrictnessTests {
    /// What goes wrong with a template that replaces a built-in one.
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
                    admins: admins, services: [ServiceChoice("web"), ServiceChoice("dns")], ping: .limited, log: true,
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

    @Test("a rule that is missing")
    func missing() throws {
        let error = try refusal("log") { _ in "" }
        guard case .missingRule(let rule, let place) = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(rule.contains("latchkey drop: "))
        #expect(place.description == "/t/log.mustache:1")
    }

    @Test("a rule that is missing in the middle")
    func missingInTheMiddle() throws {
        let error = try refusal("ssh") { _ in "" }
        let ssh = #"-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT"#
        #expect(error == .missingRule(ssh, at: TemplatePlace(path: "/t/ssh.mustache", line: 1)))
        #expect(error?.description.hasPrefix("/t/ssh.mustache:1: the planned rule") == true)
    }

    @Test("a rule more")
    func extra() throws {
        let rule = #"-A INPUT -p tcp -m tcp --dport 23 -m comment --comment "latchkey: telnet" -j ACCEPT"#
        #expect(
            try refusal("ssh") { $0 + rule + "\n" }
                == .unexpectedRule(rule, at: TemplatePlace(path: "/t/ssh.mustache", line: 5)))
        #expect(
            try refusal("log") { $0 + rule + "\n" }
                == .unexpectedRule(rule, at: TemplatePlace(path: "/t/log.mustache", line: 5)))
    }

    @Test("a planned rule written twice")
    func twice() throws {
        let error = try refusal("replies") { text in
            text + #"-A INPUT -i lo -m comment --comment "latchkey: loopback" -j ACCEPT"# + "\n"
        }
        guard case .wrongOrder(_, let place) = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(place.description == "/t/replies.mustache:5")
    }

    @Test("rules in another order")
    func order() throws {
        let error = try refusal("ruleset", replacing("{{> admins}}\n{{> ssh}}", "{{> ssh}}\n{{> admins}}"))
        let ssh = #"-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT"#
        // The rule that comes too early was written where it belongs; what includes it is another template.
        #expect(error == .wrongOrder(ssh, at: TemplatePlace(path: "ssh.mustache (built in)", line: 3)))
    }

    @Test(
        "a rule with another port, verdict, source or without its comment",
        arguments: [
            ("ssh", "--dport {{.}}", "--dport 2{{.}}"), ("ssh", "-j ACCEPT", "-j DROP"),
            ("admins", "{{#source}}-s {{.}} {{/source}}", ""), ("admins", "latchkey: admins", "admins"),
            ("ssh", #" -m comment --comment "{{comment}}""#, ""), ("replies", "RELATED,ESTABLISHED", "ESTABLISHED"),
            ("replies", "-i lo", "! -i lo"), ("ssh", "-A INPUT", "-A FORWARD"), ("ssh", "-A INPUT", "-I INPUT"),
        ])
    func changed(_ name: String, _ old: String, _ new: String) throws {
        let error = try #require(try refusal(name, replacing(old, new)))
        #expect(error.description.hasPrefix("/t/\(name).mustache:"), "\(error)")
    }

    @Test(
        "another policy, chain or table",
        arguments: [
            (":INPUT DROP", ":INPUT ACCEPT"), (":OUTPUT ACCEPT", ":OUTPUT DROP"), ("*nat", "*mangle"),
            (":FORWARD ACCEPT [0:0]\n", ""), (":FORWARD", ":EXTRA - [0:0]\n:FORWARD"),
            ("COMMIT\n{{#replace}}", "{{#replace}}"),
        ])
    func tables(_ old: String, _ new: String) throws {
        let error = try #require(try refusal("ruleset", replacing(old, new)))
        #expect(error.description.hasPrefix("/t/ruleset.mustache:"), "\(error)")
    }

    @Test("a planned rule that was moved to another table")
    func otherTable() throws {
        let error = try refusal("ruleset") { text in
            let last = text.lastRange(of: "COMMIT")
            return text.replacingCharacters(last, "{{> log}}\nCOMMIT")
        }
        guard case .unexpectedRule(_, let place) = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(place.description == "log.mustache (built in):3")
    }

    @Test(
        "another spelling than iptables-save's",
        arguments: [
            ("-A INPUT -i lo", "-A INPUT  -i lo"), ("-A INPUT -i lo", "# loopback\n-A INPUT -i lo"),
            ("-A INPUT -i lo", "\n-A INPUT -i lo"), ("-A INPUT -i lo", "-A INPUT --in-interface lo"),
            ("-A INPUT -i lo", "[0:0] -A INPUT -i lo"),
        ])
    func spelling(_ old: String, _ new: String) throws {
        let error = try #require(try refusal("replies", replacing(old, new)))
        #expect(error.description.hasPrefix("/t/replies.mustache:"), "\(error)")
    }

    @Test(
        "what is no rule at all is named with its line in the template",
        arguments: [("hello\n", "hello"), ("-A INPUT -i lo\r\n", "-A INPUT -i lo\\r")])
    func noRule(_ line: String, _ shown: String) throws {
        let error = try #require(try refusal("ssh") { $0 + line })
        #expect(error.description.hasPrefix("/t/ssh.mustache:5: \"\(shown)\""), "\(error)")
    }

    @Test("the mistakes of all templates are told at once")
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

    @Test("limits and the log line are the administrator's choice")
    func choices() throws {
        #expect(try refusal("ping", replacing("5/sec --limit-burst 10", "2/min --limit-burst 3")) == nil)
        #expect(try refusal("log", replacing("latchkey drop: ", "dropped ")) == nil)
        #expect(try refusal("log", replacing("5/min", "1/min")) == nil)
    }

    @Test(
        "tags that Mustache would pass over in silence",
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

    @Test("a template that includes itself, or one that is not there", arguments: ["{{> ruleset}}", "{{> rulez}}"])
    func partials(_ tag: String) throws {
        let error = try refusal("ruleset") { $0 + tag }
        guard case .badTemplate(_, tag, .partial) = error else {
            return #expect(Bool(false), "\(error as Any)")
        }
    }

    @Test("a template under a name that nothing includes")
    func unknown() throws {
        #expect(throws: ComposerError.self) {
            try Composer(ruleTemplates: ["telnet": RuleTemplate(path: "/t/telnet.mustache", text: "")])
        }
    }
}

extension String {
    /// The text with a part of it replaced.
    func replacingCharacters(_ range: Range<Index>?, _ new: String) -> String {
        guard let range else { return self }
        return String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }

    /// Where a text stands last.
    func lastRange(of text: String) -> Range<Index>? { ranges(of: text).last }
}
