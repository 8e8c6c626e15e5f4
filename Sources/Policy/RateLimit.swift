import Netfilter

/// How many new connections one address may make in a time; one IPv6 address stands for its /64.
///
/// After so many at once, the next ones are accepted at the same rate: with 6 in 30 s, one more after each 5 s.
package struct RateLimit: Hashable, Sendable {
    /// The number of connections.
    package let count: Int
    /// The time in seconds.
    package let seconds: Int

    /// The numbers of connections that are allowed: with more, the limit would limit nothing.
    package static let counts = 1...1_000
    /// The times that are allowed, in seconds.
    package static let times = 1...86_400
    /// What the wizard's `limited` means: 6 in 30 s, as for `ufw limit`.
    package static let usual = RateLimit(unchecked: 6, seconds: 30)

    /// How much of an IPv6 address is counted: a network of this length is one household or one server.
    package static let prefixLengthIPv6 = 64

    private init(unchecked count: Int, seconds: Int) {
        self.count = count
        self.seconds = seconds
    }

    /// Reads `6/30s`, `10/1m` or `100/1h`; without a unit, seconds are meant.
    ///
    /// - Parameter text: the limit as a person writes it.
    /// - Throws: `RateLimitError`, which says what is wrong.
    package init(parsing text: String) throws(RateLimitError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = DurationText.number(parts[0]),
            let seconds = DurationText.seconds(parts[1], units: "smh")
        else { throw .notALimit(text) }
        guard Self.counts.contains(count) else { throw .countOutOfRange(text) }
        guard Self.times.contains(seconds) else { throw .timeOutOfRange(text) }
        self.init(unchecked: count, seconds: seconds)
    }

    /// The rate in the largest number of packets per unit that iptables and nft can express: 6 in 30 s is 12 a minute.
    package var rate: Match.Rate {
        let units: [(Match.Rate.Unit, Int)] = [(.second, 1), (.minute, 60), (.hour, 3_600), (.day, 86_400)]
        let exact = units.first { count * $0.1 % seconds == 0 }
        let (unit, length) = exact ?? (.day, 86_400)
        return Match.Rate(UInt32(count * length / seconds), per: unit)
    }
}

extension RateLimit: CustomStringConvertible {
    /// As people write it: `6/30s`.
    package var description: String { "\(count)/\(time(blank: ""))" }

    /// For a sentence: `6 in 30 s`.
    package var words: String { "\(count) in \(time(blank: " "))" }

    private func time(blank: String) -> String {
        if seconds % 3_600 == 0 { return "\(seconds / 3_600)\(blank)h" }
        if seconds % 60 == 0 { return "\(seconds / 60)\(blank)\(blank.isEmpty ? "m" : "min")" }
        return "\(seconds)\(blank)s"
    }
}

/// Why a text is not a limit.
package enum RateLimitError: Error, Equatable, Sendable {
    /// It has another form.
    case notALimit(String)
    /// The number of connections is 0 or too large.
    case countOutOfRange(String)
    /// The time is 0 or too long.
    case timeOutOfRange(String)

    /// What is wrong, for a person.
    package var message: String {
        switch self {
        case .notALimit(let text): "\(text.quoted) is not a limit. Write it as 6/30s, 10/1m or 100/1h."
        case .countOutOfRange(let text):
            "\(text.quoted) is out of range: allow 1 to \(RateLimit.counts.upperBound) connections."
        case .timeOutOfRange(let text): "\(text.quoted) is out of range: the time is 1s to 24h."
        }
    }
}
