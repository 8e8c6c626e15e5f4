import Policy

/// Parses what follows a service or a port: `from 192.168.1.0/24 wg0`, `limited`, `limit 10/1m`.
struct ClauseReader {
    private enum State {
        case ready, from, limit
    }

    /// The sources, if there was a `from`.
    private(set) var from: Source?
    /// The limit, if there was one.
    private(set) var limit: RateLimit?
    private(set) var mistakes: [AnswerMistake.Part] = []
    /// What the clauses belong to: `service` or `port`.
    private let noun: String
    private let context: QuestionContext
    private var networks: NetworkReader
    private var state = State.ready

    init(_ context: QuestionContext, of noun: String) {
        self.noun = noun
        self.context = context
        networks = NetworkReader(context)
    }

    /// Whether a word begins a clause.
    static func begins(_ word: String) -> Bool { ["from", "limit", "limited"].contains(word.lowercased()) }

    /// Parses a word.
    ///
    /// - Returns: false if the word does not belong to a clause: it begins the next service or port.
    mutating func read(_ word: String) -> Bool {
        let plain = word.lowercased()
        if state == .limit {
            state = .ready
            do throws(RateLimitError) { limit = try RateLimit(parsing: word) } catch {
                mistakes.append(.init(text: word, message: error.message))
            }
            return true
        }
        switch plain {
        case "from":
            if state == .from || from != nil {
                let message = "\"from\" appears twice for one \(noun). Enter a \(noun) before each \"from\"."
                mistakes.append(.init(text: word, message: message))
            } else {
                state = .from
            }
            return true
        case "limit", "limited":
            endFrom()
            if limit != nil {
                mistakes.append(.init(text: word, message: "There are two limits for one \(noun)."))
            }
            if plain == "limited" { limit = .usual } else { state = .limit }
            return true
        default: break
        }
        guard state == .from else { return false }
        if networks.isSource(word) {
            networks.read(word)
            return true
        }
        if networks.isEmpty, plain == "everyone" || plain == "admins" {
            from = plain == "admins" ? .admins : .everyone
            state = .ready
            return true
        }
        endFrom()
        return false
    }

    /// Ends the last clause.
    mutating func finish() {
        if state == .limit {
            mistakes.append(
                .init(text: "limit", message: "\"limit\" needs a number and a time, for example: limit 6/30s"))
        }
        endFrom()
    }

    private mutating func endFrom() {
        guard state == .from else { return }
        state = .ready
        mistakes += networks.mistakes
        if networks.isEmpty {
            mistakes.append(
                .init(text: "from", message: "\"from\" needs an address, \"admins\" or \"everyone\" after it."))
        } else if !networks.list.isEmpty {
            from = .networks(networks.list)
        }
    }
}

extension NetworkReader {
    /// Whether no word has been read yet.
    var isEmpty: Bool { list.isEmpty && mistakes.isEmpty }
}

extension RateLimit {
    /// The limit as the user would type it.
    var clause: String { self == .usual ? "limited" : "limit \(self)" }
}
