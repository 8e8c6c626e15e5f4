import Netfilter

/// Turns the tree of an answers file into answers, and collects all mistakes.
struct AnswersReader {
    var mistakes: Mistakes
    private let services: ServiceNames
    private let readFile: AnswersFile.ReadFile
    /// Mistakes in files that the answers name.
    private(set) var fileMistakes: [Mistake] = []
    /// The nodes with IPv6 addresses, in case the file closes IPv6.
    private var ipv6Nodes: [(node: YAMLNode, address: String)] = []

    init(file: String, services: ServiceNames, readFile: @escaping AnswersFile.ReadFile) {
        mistakes = Mistakes(file: file)
        self.services = services
        self.readFile = readFile
    }

    /// The whole file; the result is not valid if there was a mistake.
    mutating func answers(_ root: YAMLNode) -> Answers? {
        guard let keys = mistakes.mapping(root, known: AnswersFile.keys, what: "an answers file") else { return nil }
        version(keys)
        var answers = Answers()
        if let node = keys["admins"] { answers.admins = addressList(node, what: "\"admins\"") }
        if let node = keys["block"] { answers.block = blockList(node, admins: answers.admins) }
        if let node = keys["services"] { answers.services = serviceChoices(node) }
        if let node = keys["ports"] { answers.ports = portChoices(node) }
        if let node = keys["ping"], let word = mistakes.word(node, as: PingPolicy.self, what: "\"ping\"") {
            answers.ping = word
        }
        if let node = keys["ssh"] { answers.ssh = ssh(node) }
        if let node = keys["ipv6"], let bool = mistakes.bool(node, what: "\"ipv6\"") {
            answers.ipv6 = bool
            if !bool { refuseIPv6(line: node.line) }
        }
        if let node = keys["log"], let bool = mistakes.bool(node, what: "\"log\"") { answers.log = bool }
        if let node = keys["existing"], let word = mistakes.word(node, as: ExistingRules.self, what: "\"existing\"") {
            answers.existing = word
        }
        if let node = keys["docker"], let word = mistakes.word(node, as: DockerPolicy.self, what: "\"docker\"") {
            answers.docker = word
        }
        return answers
    }

    private mutating func version(_ keys: YAMLMapping) {
        guard let node = keys["version"] else {
            mistakes.add(
                line: 1, text: "", "The key \"version\" is missing.",
                remedy: "Begin the file with \"version: \(AnswersFile.version)\".")
            return
        }
        let known = "\(AnswersFile.version)"
        switch node.content {
        case .scalar(known, quoted: false):
            break
        case .scalar(let text, let quoted) where quoted || !text.isEmpty:
            let how = quoted ? ", written without quotes" : ""
            mistakes.add(
                node, "This latchkey does not support version \(text.quoted) of the file format.",
                remedy: "It supports version \(known)\(how).")
        default:
            mistakes.wrongKind(
                node, what: "\"version\"", wanted: "a number", remedy: "Write \"version: \(known)\".")
        }
    }

    private mutating func refuseIPv6(line: Int) {
        for (node, address) in ipv6Nodes {
            mistakes.add(
                node, "\(address.quoted) is IPv6, but line \(line) says \"ipv6: false\".",
                remedy: "Delete one of the two.")
        }
    }

    // MARK: - Services and ports

    private mutating func serviceChoices(_ node: YAMLNode) -> [ServiceChoice] {
        guard let items = mistakes.sequence(node, what: "\"services\"", example: "[ssh, web]") else { return [] }
        var choices: [ServiceChoice] = []
        var seen: [String: Int] = [:]
        for item in items {
            guard let (choice, nameNode) = serviceChoice(item) else { continue }
            if let first = seen[choice.name] {
                repeated(nameNode, first: first)
            } else {
                seen[choice.name] = nameNode.line
                choices.append(choice)
            }
        }
        return choices
    }

    /// A name, or a mapping of a name and who may reach it.
    private mutating func serviceChoice(_ item: YAMLNode) -> (ServiceChoice, YAMLNode)? {
        guard case .mapping = item.content else {
            return serviceName(item).map { (ServiceChoice($0), item) }
        }
        guard let keys = mistakes.mapping(item, known: ["name", "from", "limit"], what: "a service") else { return nil }
        let name = keys["name"].flatMap { serviceName($0) }
        let from = keys["from"].flatMap { source($0, what: "\"from\"") }
        let limit = keys["limit"].flatMap { rateLimit($0) }
        if let node = keys["limit"], let limit, name == "ssh" {
            mistakes.add(
                node, "The key \"ssh\" decides about SSH; a limit of the service has no effect.",
                remedy: "Write \"ssh: { limit: \(limit) }\" as a key of its own.")
        }
        guard let nameNode = keys["name"] else {
            mistakes.add(
                item, "\(item.text.quoted) does not name a service.", remedy: "Write it as { name: web, from: admins }."
            )
            return nil
        }
        return name.map { (ServiceChoice($0, from: from, limit: limit), nameNode) }
    }

    private mutating func serviceName(_ node: YAMLNode) -> String? {
        guard let text = mistakes.string(node, what: "the name of a service", limit: 64) else { return nil }
        if let name = services.known(text) { return name }
        mistakes.add(
            node, "\(text.quoted) is not a known service.",
            remedy: Suggestion.remedy(
                for: text, among: services.all, otherwise: "\"latchkey services\" lists them."))
        return nil
    }

    private mutating func portChoices(_ node: YAMLNode) -> [PortChoice] {
        guard let items = mistakes.sequence(node, what: "\"ports\"", example: "[8080/tcp]") else { return [] }
        return distinct(items) { $0.portChoice($1) }
    }

    /// Ports, or a mapping of ports and who may reach them.
    private mutating func portChoice(_ item: YAMLNode) -> PortChoice? {
        guard case .mapping = item.content else { return portSpec(item).map { PortChoice($0) } }
        guard let keys = mistakes.mapping(item, known: ["port", "from", "limit"], what: "a port") else { return nil }
        let from = keys["from"].map { source($0, what: "\"from\"") } ?? .everyone
        let limit = keys["limit"].flatMap { rateLimit($0) }
        guard let node = keys["port"] else {
            mistakes.add(
                item, "\(item.text.quoted) does not name a port.",
                remedy: "Write it as { port: 8080/tcp, from: admins }."
            )
            return nil
        }
        guard let ports = portSpec(node), let from else { return nil }
        return PortChoice(ports, from: from, limit: limit)
    }

    private mutating func rateLimit(_ node: YAMLNode) -> RateLimit? {
        guard let text = mistakes.string(node, what: "\"limit\"", limit: 64) else { return nil }
        do {
            return try RateLimit(parsing: text)
        } catch {
            mistakes.add(node, error.message)
            return nil
        }
    }

    private mutating func portSpec(_ item: YAMLNode) -> PortSpec? {
        guard let text = mistakes.string(item, what: "a port", limit: 64) else { return nil }
        do {
            return try PortSpec(parsing: text)
        } catch {
            mistakes.add(item, error.message)
            return nil
        }
    }

    // MARK: - SSH

    private mutating func ssh(_ node: YAMLNode) -> SSHAnswer? {
        guard case .mapping = node.content else {
            mistakes.wrongKind(
                node, what: "\"ssh\"", wanted: "a group of keys",
                remedy: "Write it as { ports: [22], from: everyone }.")
            return nil
        }
        guard let keys = mistakes.mapping(node, known: ["ports", "from", "limit"], what: "\"ssh\"") else { return nil }
        var answer = SSHAnswer()
        if let node = keys["ports"] { answer.ports = sshPorts(node) }
        if let node = keys["from"], let from = source(node, what: "\"from\"") { answer.from = from }
        if let node = keys["limit"] { answer.limit = rateLimit(node) }
        return answer
    }

    private mutating func sshPorts(_ node: YAMLNode) -> [UInt16] {
        guard let items = mistakes.sequence(node, what: "\"ports\"", example: "[22]") else { return [] }
        if items.isEmpty {
            mistakes.add(
                node, "The list of SSH ports is empty.", remedy: "Delete it to use the ports that sshd listens on.")
        }
        return distinct(items) { reader, item in
            reader.mistakes.integer(item, in: 1...65535, what: "an SSH port").flatMap { UInt16(exactly: $0) }
        }
    }

    // MARK: - Addresses

    private mutating func source(_ node: YAMLNode, what: String) -> Source? {
        switch node.content {
        case .scalar("everyone", _): return .everyone
        case .scalar("admins", _): return .admins
        case .sequence(let items):
            if items.isEmpty {
                mistakes.add(
                    node, "The list for \(what) is empty and would block everyone.",
                    remedy: "Write \"admins\" or addresses.")
            }
            for item in items where item.text == "everyone" || item.text == "admins" {
                mistakes.add(
                    item, "\(item.text.quoted) cannot be part of a list.",
                    remedy: "Write it without brackets: from: \(item.text).")
            }
            let addresses = items.filter { $0.text != "everyone" && $0.text != "admins" }
            return .networks(addressList(addresses))
        case .scalar(let text, _) where (try? CIDR(parsing: text)) != nil:
            mistakes.add(node, "\(text.quoted) is not in a list; \(what) takes a list.", remedy: "Write it in [ ].")
        case .scalar(let text, let quoted) where quoted || !text.isEmpty:
            mistakes.add(
                node, "\(text.quoted) is not a valid value of \(what).",
                remedy: "Write everyone, admins or a list of addresses.")
        default:
            mistakes.wrongKind(
                node, what: what, wanted: "everyone, admins or a list", remedy: "Fill it in or delete it.")
        }
        return nil
    }

    private mutating func addressList(_ node: YAMLNode, what: String) -> AddressList {
        guard let items = mistakes.sequence(node, what: what, example: "[192.168.1.33]") else { return [] }
        return addressList(items)
    }

    private mutating func addressList(_ items: [YAMLNode]) -> AddressList {
        func isMapping(_ item: YAMLNode) -> Bool { if case .mapping = item.content { true } else { false } }
        var list = AddressList(distinct(items.filter { !isMapping($0) }) { $0.network($1) })
        var interfaces: [YAMLNode] = []
        for item in items.filter(isMapping) {
            guard let keys = mistakes.mapping(item, known: ["interface", "file"], what: "a source") else { continue }
            switch (keys["interface"], keys["file"]) {
            case (let node?, nil): interfaces.append(node)
            case (nil, let node?): if let file = addressFile(node) { list.files.append(file) }
            default:
                mistakes.add(
                    item, "\(item.text.quoted) is not one source.",
                    remedy: "Write it as { interface: wg0 } or { file: admins.txt }.")
            }
        }
        list.interfaces = distinct(interfaces) { $0.interface($1) }
        return list
    }

    /// The list of the key `block`.
    ///
    /// The admins are never blocked, so a network that contains some of them is a mistake. Link-local addresses are
    /// those of routers and other neighbours, without which the replies to this server's own packets do not arrive.
    private mutating func blockList(_ node: YAMLNode, admins: AddressList) -> AddressList {
        let list = addressList(node, what: "\"block\"")
        func place(of network: CIDR) -> YAMLNode {
            guard case .sequence(let items) = node.content else { return node }
            return items.first { (try? CIDR(parsing: $0.text)) == network } ?? node
        }
        if let (blocked, admin) = list.overlap(with: admins) {
            mistakes.add(
                place(of: blocked),
                "\"block\" and \"admins\" both contain \(blocked.prefixLength > admin.prefixLength ? blocked : admin).",
                remedy: "Delete it from one of the two.")
        }
        for interface in list.interfaces where admins.interfaces.contains(interface) {
            mistakes.add(
                node, "\"block\" and \"admins\" both contain the interface \(interface).",
                remedy: "Delete it from one of the two.")
        }
        if let everything = list.all.first(where: { $0.isEverything && $0.family == .ipv4 }) {
            mistakes.add(
                place(of: everything), "\(everything) is every IPv4 address: only the admins could reach this server.",
                remedy: "Write narrower networks, or limit the services with \"from\".")
        }
        if let neighbours = try? CIDR(parsing: "fe80::/10"),
            let (blocked, _) = list.overlap(with: AddressList([neighbours]))
        {
            mistakes.add(
                place(of: blocked), "\(blocked) contains link-local addresses, without which IPv6 does not work.",
                remedy: "Write narrower networks, or \"ipv6: false\".")
        }
        return list
    }

    /// Reads the name of an interface, written as `{ interface: NAME }`.
    private mutating func interface(_ node: YAMLNode) -> InterfaceName? {
        guard let text = mistakes.string(node, what: "\"interface\"", limit: 64) else { return nil }
        do {
            return try InterfaceName(parsing: text)
        } catch {
            mistakes.add(node, error.message)
            return nil
        }
    }

    /// Reads a file of addresses, written as `{ file: PATH }`.
    private mutating func addressFile(_ node: YAMLNode) -> AddressFile? {
        guard let path = mistakes.string(node, what: "\"file\"", limit: 1_024) else { return nil }
        do throws(AddressFileError) {
            let file = try readFile(path)
            if let ipv6 = file.networks.first(where: { $0.family == .ipv6 }) { ipv6Nodes.append((node, "\(ipv6)")) }
            return file
        } catch {
            switch error {
            case .unreadable(let reason):
                mistakes.add(node, "\(path.quoted): \(reason)", remedy: "A path is relative to the answers file.")
            case .mistakes(let errors): fileMistakes += errors.mistakes
            }
        }
        return nil
    }

    private mutating func network(_ item: YAMLNode) -> CIDR? {
        guard let text = mistakes.string(item, what: "an address", limit: 64) else { return nil }
        do {
            let network = try CIDR(source: text)
            if network.family == .ipv6 { ipv6Nodes.append((item, item.text)) }
            return network
        } catch {
            mistakes.add(item, error.message)
            return nil
        }
    }

    // MARK: - Lists

    /// The items of a list, each only once.
    private mutating func distinct<Value: Hashable>(
        _ items: [YAMLNode], _ read: (inout AnswersReader, YAMLNode) -> Value?
    ) -> [Value] {
        var values: [Value] = []
        var seen: [Value: Int] = [:]
        for item in items {
            guard let value = read(&self, item) else { continue }
            if let first = seen[value] {
                repeated(item, first: first)
            } else {
                seen[value] = item.line
                values.append(value)
            }
        }
        return values
    }

    private mutating func repeated(_ node: YAMLNode, first: Int) {
        let place = first == node.line ? "this line" : "line \(first)"
        mistakes.add(node, "\(node.text.quoted) is already in the list, on \(place).", remedy: "Delete one of the two.")
    }
}
