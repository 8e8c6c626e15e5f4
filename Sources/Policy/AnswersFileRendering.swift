import Netfilter

extension AnswersFile {
    /// Writes answers as a file that a person can read and change; `parse` reads the same answers back.
    package static func render(_ answers: Answers) -> String {
        """
        # latchkey makes this server's firewall from these answers. See latchkey(8).
        # To change it: edit this file, check "latchkey plan", run "latchkey apply".
        version: \(version)

        # Addresses and networks that may reach everything, such as 192.168.1.33,
        # 10.0.0.0/8 or "2001:db8:5::/64". For none: []
        # A source may also be { interface: wg0 } or { file: admins.txt }.
        admins:\(list(texts(answers.admins)))

        # Sources that are always blocked, except their replies to this server.
        block:\(list(texts(answers.block)))

        # The server's services by name ("latchkey services" lists the names).
        # To limit one: { name: mail, from: [192.168.1.0/24], limit: 6/30s }
        # "from" is everyone, admins, or a list of sources. "limit" is the number of
        # new connections in a time from one address.
        services:\(list(answers.services.map(text)))

        # Further open ports with their protocol, such as 8080/tcp or 60000-61000/udp.
        # To limit one: { port: 8080/tcp, from: [192.168.1.0/24], limit: 6/30s }
        ports:\(list(answers.ports.map(text)))

        # Who may ping this server: replies-only (no one; the server still gets replies
        # to its own pings), admins, limited (everyone, a few a second) or everyone.
        ping: \(answers.ping.rawValue)

        # Who may log in by SSH: everyone, admins, or a list of sources. "limit: 6/30s"
        # limits each address. Without "ports": the ports that sshd listens on.
        \(ssh(answers.ssh))

        # false blocks IPv6, except loopback and replies.
        ipv6: \(answers.ipv6)

        # true logs what is dropped, a few lines a minute.
        log: \(answers.log)

        # Rules that are there already: keep (only incoming rules change) or replace.
        existing: \(answers.existing.rawValue)

        # Published container ports: open (to everyone, as Docker has it) or answers
        # (services and ports above decide about them too).
        docker: \(answers.docker.rawValue)

        """
    }

    private static func list(_ items: [String]) -> String {
        items.isEmpty ? " []" : items.map { "\n  - \($0)" }.joined()
    }

    private static func text(_ network: CIDR) -> String {
        // IPv6 addresses are quoted, because a colon has a meaning in YAML.
        network.family == .ipv6 ? "\"\(network)\"" : "\(network)"
    }

    private static func texts(_ list: AddressList) -> [String] {
        list.networks.map(text) + list.interfaces.map { "{ interface: \(quoted($0.text)) }" }
            + list.files.map { "{ file: \(quoted($0.path)) }" }
    }

    private static func text(_ choice: ServiceChoice) -> String {
        let limits = (choice.from.map { ["from: \(text($0))"] } ?? []) + text(choice.limit)
        return limits.isEmpty
            ? name(choice.name) : "{ \((["name: \(name(choice.name))"] + limits).joined(separator: ", ")) }"
    }

    private static func text(_ choice: PortChoice) -> String {
        let limits = (choice.from == .everyone ? [] : ["from: \(text(choice.from))"]) + text(choice.limit)
        return limits.isEmpty
            ? "\(choice.ports)" : "{ \((["port: \(choice.ports)"] + limits).joined(separator: ", ")) }"
    }

    private static func text(_ limit: RateLimit?) -> [String] { limit.map { ["limit: \($0)"] } ?? [] }

    private static func text(_ source: Source) -> String {
        switch source {
        case .everyone: "everyone"
        case .admins: "admins"
        case .networks(let networks): "[\(texts(networks).joined(separator: ", "))]"
        }
    }

    private static func ssh(_ answer: SSHAnswer?) -> String {
        guard let answer else { return "# ssh: { ports: [22], from: everyone }" }
        let ports = answer.ports.map { ["ports: [\($0.map(String.init).joined(separator: ", "))]"] } ?? []
        return "ssh: { \((ports + ["from: \(text(answer.from))"] + text(answer.limit)).joined(separator: ", ")) }"
    }

    /// The name of a template, quoted unless it is a plain word.
    private static func name(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        let startsPlain = name.utf8.first.map { $0 != UInt8(ascii: "-") } ?? false
        return isPlain && startsPlain ? name : quoted(name)
    }

    private static func quoted(_ name: String) -> String {
        var quoted = ""
        for character in name.unicodeScalars {
            if character == "\"" || character == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(character)
        }
        return "\"\(quoted)\""
    }
}
