/// What a rule does with a matching packet.
///
/// Typed only if its typed form prints exactly the bytes that were read, like `Match`.
package enum Target: Hashable, Sendable {
    case accept
    case drop
    case `return`
    /// Jumps to a user chain, and returns if that decides nothing.
    case jump(String)
    /// Goes to a user chain, without returning.
    case goto(String)
    /// Writes a line to the kernel's log; the packet continues with the next rule.
    case log(prefix: String? = nil, level: UInt8? = nil)
    /// Rejects the packet with a reply to the sender: `icmp-port-unreachable`.
    case reject(with: String)
    /// Anything else, word for word.
    case unknown([Word])

    /// Anything that this type does not know, as words: `["-j", "MARK", "--set-mark", "1"]`.
    package static func words(_ words: [String]) -> Target { .unknown(words.map { Word($0) }) }

    /// The target as iptables-save prints it.
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the target as iptables-save prints it.
    func write(to text: inout String) {
        switch self {
        case .accept: text += "-j ACCEPT"
        case .drop: text += "-j DROP"
        case .return: text += "-j RETURN"
        case .jump(let chain):
            text += "-j "
            text += chain
        case .goto(let chain):
            text += "-g "
            text += chain
        case .log(let prefix, let level):
            text += "-j LOG" + (prefix.map { " --log-prefix \(Word.string($0))" } ?? "")
            text += level.map { " --log-level \($0)" } ?? ""
        case .reject(let answer):
            text += "-j REJECT --reject-with "
            text += answer
        case .unknown(let words): words.write(to: &text)
        }
    }

    /// The chain that the packet goes to, if it goes to one.
    package var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain):
            return chain
        case .unknown(let words):
            guard words.count == 2, ["-j", "--jump", "-g", "--goto"].contains(words[0].value),
                !Self.extensions.contains(words[1].value), Chain.isValidName(words[1].value)
            else { return nil }
            return words[1].value
        case .accept, .drop, .return, .log, .reject:
            return nil
        }
    }

    /// The target that these words represent: typed if its typed form has exactly the same bytes.
    init(reading words: ArraySlice<Word>) {
        if let typed = Self.typed(words), words.spell(typed.write) {
            self = typed
        } else {
            self = .unknown(Array(words))
        }
    }

    private static func typed(_ words: ArraySlice<Word>) -> Target? {
        guard words.count >= 2 else { return nil }
        let name = words[words.startIndex + 1].value
        let options = words.dropFirst(2)
        switch words[words.startIndex].value {
        case "-j":
            switch name {
            case "ACCEPT": return .accept
            case "DROP": return .drop
            case "RETURN": return .return
            case "LOG": return log(options.map(\.value)[...])
            case "REJECT":
                let values = options.map(\.value)
                return values.count == 2 && values[0] == "--reject-with" ? .reject(with: values[1]) : nil
            default:
                let isChain = options.isEmpty && !extensions.contains(name) && Chain.isValidName(name)
                return isChain ? .jump(name) : nil
            }
        case "-g": return options.isEmpty && Chain.isValidName(name) ? .goto(name) : nil
        default: return nil
        }
    }

    private static func log(_ options: ArraySlice<String>) -> Target? {
        var rest = options
        var prefix: String?
        var level: UInt8?
        if rest.count >= 2, rest.first == "--log-prefix" {
            prefix = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        }
        if rest.count >= 2, rest.first == "--log-level" {
            level = Ascii.number(rest[rest.startIndex + 1], as: UInt8.self)
            rest = rest.dropFirst(2)
        }
        return rest.isEmpty ? .log(prefix: prefix, level: level) : nil
    }

    /// iptables-extensions(8): the targets without options that are not chains.
    private static let extensions: Set<String> = [
        "ACCEPT", "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNMARK", "CONNSECMARK", "CT", "DNAT", "DNPT", "DROP",
        "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED", "LOG", "MARK", "MASQUERADE", "NETMAP", "NFLOG", "NFQUEUE",
        "NOTRACK", "QUEUE", "RATEEST", "REDIRECT", "REJECT", "RETURN", "SECMARK", "SET", "SNAT", "SNPT", "SYNPROXY",
        "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TPROXY", "TRACE", "TTL", "ULOG",
    ]
}
